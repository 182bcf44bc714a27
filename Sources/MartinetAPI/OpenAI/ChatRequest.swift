internal import MartinetJSON
public import MartinetEngine

/// `POST /v1/chat/completions`.
public struct ChatRequest: Sendable {
    /// What the prompt is made of, and how to go on with it.
    public var generation: ChatGeneration
    /// Whether and how to stream.
    public var streaming: StreamOptions
    /// Whether to report log probabilities.
    public var logprobs: Bool
    /// Whether reasoning is part of the answer.
    public var includesReasoning: Bool
    /// What stands in front of the answer's text: the assistant's last message, where the client wants it repeated.
    public var echo: String

    /// Decodes a request; the output fills the model's context unless it says otherwise.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        let conversation = try Conversation(&reader, model: model)
        streaming = try StreamOptions(&reader)
        var base = SamplingFields.Base.openAI(model, maxTokens: nil)
        base.maxTokensFields = ["max_completion_tokens", "max_tokens"]
        var fields = try SamplingFields(&reader, model: model, base: base)
        logprobs = try reader.bool("logprobs") ?? false
        let top = try reader.integer("top_logprobs", in: 0...20)
        if top != nil, !logprobs {
            throw .invalid("top_logprobs", "`top_logprobs` is only allowed when `logprobs` is true.")
        }
        if logprobs { fields.sampling.logprobs = top ?? 0 }
        includesReasoning = try reader.bool("include_reasoning") ?? true
        echo = try reader.bool("echo") == true ? conversation.lastOfAssistant : ""
        try CommonFields.take(&reader)
        for name in ["functions", "function_call", "audio", "web_search_options"] where reader.has(name) {
            throw .unsupported(name, "`\(name)` is not supported\(name.hasPrefix("function") ? "; use `tools`" : "").")
        }
        if let modalities = try reader.array("modalities", maximum: 8),
            modalities.contains(where: { $0.string != "text" })
        {
            throw .unsupported("modalities", "`modalities` must be [\"text\"].")
        }
        if streaming.stream, fields.sampling.promptLogprobs != nil {
            throw .unsupported("prompt_logprobs", "`prompt_logprobs` is not available with `stream`.")
        }
        try reader.end()
        generation = ChatGeneration(conversation, fields)
    }

    /// How to generate.
    public var fields: SamplingFields { generation.fields }

    /// The engine's request.
    public func request(
        id: String, model: ServedModel, service: any InferenceService
    ) throws(APIError) -> InferenceRequest {
        try generation.request(id: id, model: model, service: service)
    }
}

extension Conversation {
    /// The text of the last message, where it is the assistant's.
    fileprivate var lastOfAssistant: String {
        guard Self.role(messages.last) == "assistant" else { return "" }
        return messages.last?["content"]?.text ?? ""
    }
}
