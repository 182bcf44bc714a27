internal import MartinetJSON
internal import MartinetTokenizers

/// `POST /tokenize`, in vLLM's shape.
public struct TokenizeRequest: Sendable {
    private enum Source: Sendable {
        case prompt(Prompt, addSpecialTokens: Bool)
        case conversation(Conversation)
    }
    private var source: Source
    private var returnTokenTexts: Bool

    /// Decodes a request: a `prompt`, or `messages` with what makes them a prompt.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        returnTokenTexts = try reader.bool("return_token_strs") ?? false
        if reader.has("messages") {
            guard !reader.has("prompt") else {
                throw .invalid("prompt", "Give `prompt` or `messages`, not both.")
            }
            source = .conversation(try Conversation(&reader, model: model))
        } else {
            guard let text = try reader.string("prompt") else {
                throw .invalid(
                    "prompt", "`prompt` or `messages` is required.", code: "missing_required_parameter")
            }
            source = .prompt(.text(text), addSpecialTokens: try reader.bool("add_special_tokens") ?? true)
        }
        try reader.end()
    }

    /// The answer: `{"count","max_model_len","tokens","token_strs"}`.
    public func body(model: ServedModel, service: any InferenceService) throws(APIError) -> [UInt8] {
        let tokens =
            switch source {
            case .prompt(let prompt, let special):
                try prompt.encode(for: model, addSpecialTokens: special)
            case .conversation(let conversation): try conversation.encode(service, model: model)
            }
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("count", tokens.count)
            writer.field("max_model_len", model.maxModelLength)
            writer.field("tokens", tokens)
            writer.field("token_strs") { writer in
                guard returnTokenTexts else { return writer.value(nil as Int?) }
                writer.array { writer in
                    for token in tokens { writer.value(model.tokenizer.name(of: token) ?? "") }
                }
            }
        }
        return writer.bytes
    }
}

/// `POST /detokenize`, in vLLM's shape.
public struct DetokenizeRequest: Sendable {
    private var tokens: [Int32]

    /// Decodes a request.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        let vocabulary = model.tokenizer.vocabularySize
        guard let tokens = try reader.tokens("tokens", maximum: 1_048_576, vocabularySize: vocabulary) else {
            throw .invalid(
                "tokens", "`tokens` is required: an array of token ids.", code: "missing_required_parameter")
        }
        self.tokens = tokens
        try reader.end()
    }

    /// The answer: `{"prompt"}`.
    public func body(model: ServedModel) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { $0.field("prompt", model.tokenizer.decode(tokens, includeSpecial: true)) }
        return writer.bytes
    }
}
