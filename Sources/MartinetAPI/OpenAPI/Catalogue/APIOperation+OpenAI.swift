extension APIOperation {
    /// OpenAI's routes that generate, and the models.
    public static let openAI: [APIOperation] = [
        APIOperation(
            path: "/v1/chat/completions", tag: "OpenAI", summary: "The next turn of a conversation.",
            examples: [
                #"{"model": "model", "messages": [{"role": "user", "content": "Hello!"}], "max_completion_tokens": 16}"#,
                #"""
                {"messages": [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "user", "content": "Weather in Paris?"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\": \"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"}],
                "tools": [{"type": "function", "function": {"name": "weather", "description": "Of a city.",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}],
                "tool_choice": "auto", "stream": true, "stream_options": {"include_usage": true},
                "stop": ["\n\n"], "logprobs": true, "top_logprobs": 2, "logit_bias": {"65": 1},
                "metadata": {"purpose": "example"}, "chat_template_kwargs": {"enable_thinking": false}}
                """#,
                #"""
                {"messages": [{"role": "user", "content": "A city, as JSON."}], "stop": "END",
                "response_format": {"type": "json_schema", "json_schema": {"name": "city", "strict": true,
                "schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
                "additionalProperties": false}}}}
                """#,
            ], decode: { body, model throws(APIError) in _ = try ChatRequest(body, model: model) },
            answer: #"""
                {"id": "chatcmpl-1f0c", "object": "chat.completion", "created": 1790000000, "model": "model",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": null}, "logprobs": null,
                "finish_reason": "stop"}], "usage": {"prompt_tokens": 31, "completion_tokens": 9, "total_tokens": 40,
                "prompt_tokens_details": {"cached_tokens": 0}}}
                """#, streams: true),
        APIOperation(
            path: "/v1/completions", tag: "OpenAI", summary: "The continuation of one prompt or several.",
            examples: [
                #"{"model": "model", "prompt": "Once upon a time", "max_tokens": 8}"#,
                #"""
                {"prompt": ["One", "Two"], "echo": true, "logprobs": 1, "stream": true,
                "stream_options": {"include_usage": true, "continuous_usage_stats": true}, "stop": ["."]}
                """#, #"{"prompt": [[84, 104], [84, 105]], "stop": "."}"#,
            ], decode: { body, model throws(APIError) in _ = try CompletionRequest(body, model: model) },
            answer: #"""
                {"id": "cmpl-1f0c", "object": "text_completion", "created": 1790000000, "model": "model",
                "choices": [{"index": 0, "text": ", there was", "logprobs": null, "finish_reason": "length"}],
                "usage": {"prompt_tokens": 4, "completion_tokens": 8, "total_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 0}}}
                """#, streams: true),
        APIOperation(
            method: "get", path: "/v1/models", tag: "OpenAI", summary: "The models that are served.",
            answer: #"{"object": "list", "data": [\#(model)]}"#, failures: []),
        APIOperation(
            method: "get", path: "/v1/models/{model}", tag: "OpenAI", summary: "One of them.",
            parameters: [Parameter(name: "model", description: "The model's name.", example: "model")], answer: model,
            failures: [404]),
    ]

    private static let model = #"{"id": "model", "object": "model", "created": 1790000000, "owned_by": "martinet"}"#
}
