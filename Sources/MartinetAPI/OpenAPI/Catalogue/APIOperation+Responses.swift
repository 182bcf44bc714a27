extension APIOperation {
    /// OpenAI's responses.
    static let responses: [APIOperation] = [
        APIOperation(
            path: "/v1/responses", tag: "OpenAI", summary: "A response to items of a conversation.",
            examples: requests, decode: decode, answers: [answer, failedAnswer], streams: true),
        APIOperation(
            path: "/v1/responses/input_tokens", tag: "OpenAI", summary: "How many tokens a response's input has.",
            examples: requests, decode: decode,
            answers: [#"{"object": "response.input_tokens", "input_tokens": 31}"#]),
        APIOperation(
            method: "get", path: "/v1/responses/{id}", tag: "OpenAI", summary: "A kept response.",
            parameters: [id], answers: [answer, failedAnswer], failures: [400, 404, 500]),
        APIOperation(
            method: "delete", path: "/v1/responses/{id}", tag: "OpenAI", summary: "Forgets a response.",
            parameters: [id], answers: [#"{"id": "resp_1f0c", "object": "response", "deleted": true}"#],
            failures: [404, 500]),
        APIOperation(
            method: "get", path: "/v1/responses/{id}/input_items", tag: "OpenAI", summary: "A kept response's input.",
            parameters: [id] + page(most: 100),
            answers: [
                #"""
                {"object": "list", "data": [{"type": "message", "id": "msg_1f0c_in0", "role": "user"},
                {"type": "reasoning", "id": "rs_1f0c_in1"}], "first_id": "msg_1f0c_in0", "last_id": "rs_1f0c_in1",
                "has_more": false}
                """#, emptyList,
            ], failures: [400, 404, 500]),
    ]

    private static let decode: Decoder = { body, model throws(APIError) in
        _ = try ResponsesRequest(body, model: model, stores: true)
    }

    private static let id = Parameter(name: "id", description: "The response's name.", example: "resp_1f0c")

    private static let requests = [
        #"{"input": "Hello!", "model": "model", "max_output_tokens": 16}"#,
        #"""
        {"instructions": "Be brief.", "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather in Paris?"}]},
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "I ask."}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "It asks."}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{\"city\": \"Paris\"}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"},
        {"role": "assistant", "content": "It is mild."}, {"role": "assistant", "content": [
        {"type": "refusal", "refusal": "No."}]}, {"role": "user", "content": "And in Lyon?"}],
        "tools": [{"type": "function", "name": "weather", "description": "Of a city.", "strict": true,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]},
        "stream": true, "stream_options": {"include_obfuscation": false}, "store": false, "stop": ["END"],
        "include": ["message.output_text.logprobs"], "metadata": {"purpose": "example"}, "logit_bias": {"65": 1},
        "reasoning": {"effort": "none"}}
        """#,
        #"""
        {"input": "A city, as JSON.", "stop": "END", "tool_choice": "none",
        "text": {"format": {"type": "json_schema", "name": "city", "schema": {"type": "object"}}}}
        """#,
        #"{"input": "A city?", "structured_outputs": {"choice": ["Paris", "Lyon"]}}"#,
        #"{"input": "A city?", "structured_outputs": {"json": {"type": "object"}}}"#,
        #"{"input": "A city?", "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}}"#,
    ]

    private static let answer = response(
        "completed", completed: "1790000002", error: "null", details: "null", model: "model",
        rest: #"""
            "instructions": "Be brief.", "max_output_tokens": 16, "previous_response_id": "resp_1f0b",
            "reasoning": {"effort": "low", "summary": "auto"}, "tool_choice": "auto", "max_tool_calls": 1,
            "prompt_cache_key": "1f0c", "safety_identifier": "1f0c", "user": "1f0c", "usage": {"input_tokens": 31,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}, "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 35}
            """#)

    private static let failedAnswer = response(
        "failed", completed: "null", error: #"{"code": "server_error", "message": "It failed."}"#,
        details: #"{"reason": "max_output_tokens"}"#, model: "model",
        rest: #"""
            "instructions": null, "max_output_tokens": null, "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null}, "tool_choice": {"type": "function", "name": "weather"},
            "max_tool_calls": null, "prompt_cache_key": null, "safety_identifier": null, "user": null, "usage": null
            """#)

    private static func response(
        _ status: String, completed: String, error: String, details: String, model: String, rest: String
    ) -> String {
        #"""
        {"id": "resp_1f0c", "object": "response", "created_at": 1790000000, "status": "\#(status)",
        "completed_at": \#(completed), "background": false, "error": \#(error), "incomplete_details": \#(details),
        "model": "\#(model)", "output": [{"id": "msg_1f0c_0", "type": "message", "role": "assistant",
        "content": [{"type": "output_text", "text": "It is mild.", "annotations": [], "logprobs": []}],
        "status": "completed"}, {"id": "rs_1f0c_0", "type": "reasoning", "summary": [], "content": [
        {"type": "reasoning_text", "text": "I ask."}], "encrypted_content": null, "status": "completed"},
        {"id": "fc_1f0c_1", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}",
        "status": "completed"}], "parallel_tool_calls": true, "store": true, "temperature": 0.7, "tools": [],
        "top_p": 0.9, "text": {"format": {"type": "text"}}, "top_logprobs": 0, "truncation": "disabled",
        "metadata": {}, "service_tier": "default", \#(rest)}
        """#
    }
}
