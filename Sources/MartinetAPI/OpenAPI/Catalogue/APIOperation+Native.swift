extension APIOperation {
    /// The native routes.
    static let native: [APIOperation] = [
        APIOperation(
            path: "/generate", tag: "Native", summary: "Continue a prompt.",
            examples: [
                #"{"prompt": "The capital of France is", "max_tokens": 8}"#,
                #"{"prompt": [84, 104, 101], "max_tokens": 8, "stream": true, "stop": [".", "\n"], "logit_bias": {"65": -1}, "structured_outputs": {"choice": ["Paris", "Lyon"]}}"#,
                #"{"prompt": "Yes or no?", "stop": ".", "structured_outputs": {"json": {"type": "object"}}}"#,
            ], decode: { body, model throws(APIError) in _ = try GenerateRequest.single(body, model: model) },
            answers: [
                #"""
                {"request_id": "gen-1f0c", "model": "model", "prompt": "The capital of France is", "outputs": [{"index": 0,
                "text": " Paris", "token_ids": [7042], "finish_reason": "stop", "stop_reason": "."},
                {"index": 1, "text": " Paris,", "token_ids": [7042, 28], "finish_reason": "length",
                "stop_reason": null}], "usage": \#(usage)}
                """#
            ], streams: true),
        APIOperation(
            path: "/generate_batch", tag: "Native",
            summary: "Continue several prompts; the outputs stand in their order.",
            examples: [#"{"prompts": ["Hello", "Good"], "max_tokens": 4}"#, #"{"prompts": [[72, 105], [72, 111]]}"#],
            decode: { body, model throws(APIError) in _ = try GenerateRequest.batch(body, model: model) },
            answers: [
                #"""
                {"request_id": "gen-1f0c", "model": "model", "outputs": [{"index": 0, "prompt": "Hello", "text": " there",
                "token_ids": [618], "finish_reason": "length", "stop_reason": null}, {"index": 1, "prompt": "Good",
                "text": " day", "token_ids": [1194], "finish_reason": "stop", "stop_reason": "."}],
                "usage": \#(usage)}
                """#
            ]),
        APIOperation(
            path: "/tokenize", tag: "Tokens", summary: "The tokens of a prompt or of a conversation.",
            examples: [
                #"{"prompt": "Hello", "return_token_strs": true}"#,
                #"{"messages": [{"role": "user", "content": "Hello"}]}"#,
            ], decode: { body, model throws(APIError) in _ = try TokenizeRequest(body, model: model) },
            answers: [
                #"{"count": 1, "max_model_len": 8192, "tokens": [19556], "token_strs": ["Hello"]}"#,
                #"{"count": 1, "max_model_len": 8192, "tokens": [19556], "token_strs": null}"#,
            ]),
        APIOperation(
            path: "/detokenize", tag: "Tokens", summary: "The text of tokens.", examples: [#"{"tokens": [72, 105]}"#],
            decode: { body, model throws(APIError) in _ = try DetokenizeRequest(body, model: model) },
            answers: [#"{"prompt": "Hi"}"#]),
    ]

    static let usage = #"""
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 0}}
        """#
}
