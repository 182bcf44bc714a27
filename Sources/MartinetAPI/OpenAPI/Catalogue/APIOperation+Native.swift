extension APIOperation {
    /// The native routes.
    public static let native: [APIOperation] = [
        APIOperation(
            path: "/generate", tag: "Native", summary: "Continue a prompt.",
            examples: [
                #"{"prompt": "The capital of France is", "max_tokens": 8}"#,
                #"{"prompt": [84, 104, 101], "max_tokens": 8, "stream": true, "stop": [".", "\n"], "logit_bias": {"65": -1}, "structured_outputs": {"choice": ["Paris", "Lyon"]}}"#,
                #"{"prompt": "Yes or no?", "stop": ".", "structured_outputs": {"json": {"type": "object"}}}"#,
            ], decode: { body, model throws(APIError) in _ = try GenerateRequest.single(body, model: model) },
            answer: #"""
                {"request_id": "gen-1f0c", "model": "model", "prompt": "The capital of France is", "outputs": [{"index": 0,
                "text": " Paris.", "token_ids": [7042, 30], "finish_reason": "stop"}], "usage": {"prompt_tokens": 5,
                "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 0}}}
                """#, streams: true),
        APIOperation(
            path: "/generate_batch", tag: "Native",
            summary: "Continue several prompts; the outputs stand in their order.",
            examples: [#"{"prompts": ["Hello", "Good"], "max_tokens": 4}"#, #"{"prompts": [[72, 105], [72, 111]]}"#],
            decode: { body, model throws(APIError) in _ = try GenerateRequest.batch(body, model: model) },
            answer: #"""
                {"request_id": "gen-1f0c", "model": "model", "outputs": [{"index": 0, "prompt": "Hello", "text": " there",
                "token_ids": [618], "finish_reason": "length"}], "usage": {"prompt_tokens": 2, "completion_tokens": 8,
                "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}}}
                """#),
        APIOperation(
            path: "/tokenize", tag: "Tokens", summary: "The tokens of a prompt or of a conversation.",
            examples: [
                #"{"prompt": "Hello", "return_token_strs": true}"#,
                #"{"messages": [{"role": "user", "content": "Hello"}]}"#,
            ], decode: { body, model throws(APIError) in _ = try TokenizeRequest(body, model: model) },
            answer: #"{"count": 1, "max_model_len": 8192, "tokens": [19556]}"#),
        APIOperation(
            path: "/detokenize", tag: "Tokens", summary: "The text of tokens.", examples: [#"{"tokens": [72, 105]}"#],
            decode: { body, model throws(APIError) in _ = try DetokenizeRequest(body, model: model) },
            answer: #"{"prompt": "Hi"}"#),
    ]

    /// What the server says of itself.
    public static let status: [APIOperation] = [
        status("/health", "Whether the engines step.", "healthy"),
        status("/ping", "The same, by its other name.", "healthy"),
        status("/livez", "Whether the process lives; a restart helps where it does not.", "alive"),
        status("/readyz", "Whether it takes requests.", "ready"),
        status("/startupz", "Whether it has started.", "started"),
        APIOperation(
            method: "get", path: "/version", tag: "Status", summary: "The server's version.",
            answer: #"{"version": "0.1.0"}"#, failures: []),
        APIOperation(
            method: "get", path: "/metrics", tag: "Status", summary: "Figures for Prometheus.",
            answerType: "text/plain",
            failures: []),
    ]

    private static func status(_ path: String, _ summary: String, _ word: String) -> APIOperation {
        APIOperation(
            method: "get", path: path, tag: "Status", summary: summary, answer: #"{"status": "\#(word)"}"#,
            failures: [503])
    }
}
