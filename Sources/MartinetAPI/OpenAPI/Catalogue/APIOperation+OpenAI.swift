extension APIOperation {
    /// OpenAI's routes that generate, and the models.
    static let openAI: [APIOperation] = [
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
                "tool_choice": {"type": "function", "function": {"name": "weather"}}, "stream": true, "stream_options": {"include_usage": true},
                "stop": ["\n\n"], "logprobs": true, "top_logprobs": 2, "logit_bias": {"65": 1},
                "metadata": {"purpose": "example"}, "chat_template_kwargs": {"enable_thinking": false}}
                """#,
                #"""
                {"messages": [{"role": "user", "content": "A city, as JSON."}], "stop": "END", "tool_choice": "none",
                "response_format": {"type": "json_schema", "json_schema": {"name": "city", "strict": true,
                "schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
                "additionalProperties": false}}}}
                """#,
            ], decode: { body, model throws(APIError) in _ = try ChatRequest(body, model: model) },
            answers: [
                #"""
                {"id": "chatcmpl-1f0c", "object": "chat.completion", "created": 1790000000, "model": "model",
                "system_fingerprint": "fp_143e55bb04", "service_tier": "default", "choices": [{"index": 0,
                "message": {"role": "assistant", "content": "Hello!", "refusal": null}, "logprobs": null,
                "finish_reason": "stop", "stop_reason": null}], "usage": \#(usage)}
                """#,
                #"""
                {"id": "chatcmpl-1f0c", "object": "chat.completion", "created": 1790000000, "model": "model",
                "system_fingerprint": "fp_143e55bb04", "service_tier": "default", "choices": [{"index": 0,
                "message": {"role": "assistant", "content": null, "refusal": null, "tool_calls": [{"id": "call_1",
                "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Paris\"}"}}]},
                "logprobs": null, "finish_reason": "tool_calls", "stop_reason": "END"}], "usage": \#(usage)}
                """#,
            ], streams: true),
        APIOperation(
            path: "/v1/completions", tag: "OpenAI", summary: "The continuation of one prompt or several.",
            examples: [
                #"{"model": "model", "prompt": "Once upon a time", "max_tokens": 8}"#,
                #"""
                {"prompt": ["One", "Two"], "echo": true, "logprobs": 1, "stream": true,
                "stream_options": {"include_usage": true, "continuous_usage_stats": true}, "stop": ["."]}
                """#, #"{"prompt": [[84, 104], [84, 105]], "stop": "."}"#,
            ], decode: { body, model throws(APIError) in _ = try CompletionRequest(body, model: model) },
            answers: [
                #"""
                {"id": "cmpl-1f0c", "object": "text_completion", "created": 1790000000, "model": "model",
                "system_fingerprint": "fp_143e55bb04", "service_tier": "default", "choices": [{"index": 0,
                "text": ", there was", "logprobs": null, "finish_reason": "length", "stop_reason": null},
                {"index": 1, "text": ", a fox", "logprobs": null, "finish_reason": "stop", "stop_reason": "."}],
                "usage": \#(usage)}
                """#
            ], streams: true),
        APIOperation(
            path: "/v1/embeddings", tag: "OpenAI", summary: "A vector for each text.",
            examples: [
                #"{"model": "model", "input": "Hello", "encoding_format": "float", "dimensions": 2}"#,
                #"{"input": ["Hello", "Goodbye"], "metadata": {"purpose": "example"}}"#, #"{"input": [[72, 105]]}"#,
            ], decode: { body, model throws(APIError) in _ = try EmbeddingRequest(body, model: model) },
            answers: [
                #"""
                {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
                "model": "model", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
                """#,
                #"""
                {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": "mpkZP83MTL8="}],
                "model": "model", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
                """#,
            ]),
        APIOperation(
            method: "get", path: "/v1/models", tag: "OpenAI", summary: "The models that are served.",
            answers: [#"{"object": "list", "data": [\#(model)]}"#]),
        APIOperation(
            method: "get", path: "/v1/models/{model}", tag: "OpenAI", summary: "One of them.",
            parameters: [Parameter(name: "model", description: "The model's name.", example: "model")],
            answers: [model],
            failures: [404]),
    ]

    private static let model = #"""
        {"id": "model", "object": "model", "created": 1790000000, "owned_by": "martinet", "root": "model",
        "parent": null}
        """#
}
