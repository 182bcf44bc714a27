extension APIOperation {
    /// Anthropic's routes.
    static let anthropic: [APIOperation] = [
        APIOperation(
            path: "/v1/messages", tag: "Anthropic", summary: "The next message of a conversation.",
            examples: [
                #"{"max_tokens": 16, "messages": [{"role": "user", "content": "Hello!"}], "model": "model"}"#,
                #"""
                {"max_tokens": 64, "system": "Be brief.", \#(conversation), "stream": true,
                "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": true},
                "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
                "stop_sequences": ["END"], "metadata": {"user_id": "1f0c"}}
                """#,
                #"""
                {"max_tokens": 64, "system": [{"type": "text", "text": "Be brief."}],
                "messages": [{"role": "user", "content": "A city, as JSON."}],
                "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}}
                """#,
                #"""
                {"max_tokens": 64, "messages": [{"role": "user", "content": "A city, as JSON."}],
                "output_format": {"type": "json_schema", "schema": {"type": "object"}}}
                """#,
                #"""
                {"max_tokens": 64, "messages": [{"role": "user", "content": "A city?"}], "stop": ".",
                "structured_outputs": {"choice": ["Paris", "Lyon"]}}
                """#,
            ], decode: { body, model throws(APIError) in _ = try MessagesRequest(body, model: model) },
            answers: [
                message(#"{"type": "text", "text": "Hello!"}"#, stop: #""stop_sequence", "stop_sequence": "END""#),
                message(
                    #"{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}"#,
                    stop: #""tool_use", "stop_sequence": null"#),
            ], streams: true),
        APIOperation(
            path: "/v1/messages/count_tokens", tag: "Anthropic", summary: "How many tokens a message's input has.",
            examples: [
                #"{"messages": [{"role": "user", "content": "Hello!"}], "model": "model"}"#,
                #"""
                {"system": "Be brief.", \#(conversation), "tool_choice": {"type": "tool", "name": "weather"},
                "thinking": {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}}
                """#,
                #"""
                {"system": [{"type": "text", "text": "Be brief."}],
                "messages": [{"role": "user", "content": "A city, as JSON."}],
                "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}}}
                """#,
                #"""
                {"messages": [{"role": "user", "content": "A city, as JSON."}],
                "output_format": {"type": "json_schema", "schema": {"type": "object"}}}
                """#,
            ], decode: { body, model throws(APIError) in try MessagesRequest.check(body, model: model) },
            answers: [#"{"input_tokens": 12}"#]),
    ]

    private static let conversation = #"""
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Weather in Paris?"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "I ask.", "signature": "unsigned"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": false,
        "content": [{"type": "text", "text": "18 degrees"}]}]}],
        "tools": [{"name": "weather", "description": "Of a city.", "input_schema": {"type": "object"}}]
        """#

    private static func message(_ block: String, stop: String) -> String {
        #"""
        {"id": "msg_1f0c", "type": "message", "role": "assistant", "model": "model", "content": [\#(block)],
        "stop_reason": \#(stop), "usage": {"input_tokens": 31, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0, "output_tokens": 9, "service_tier": "standard"}}
        """#
    }
}
