public import MartinetEngine

/// `POST /v1/completions`.
public struct CompletionRequest: Sendable {
    /// The prompts; each gives `n` choices.
    public var prompts: [Prompt]
    /// How to generate.
    public var fields: SamplingFields
    /// Whether and how to stream.
    public var streaming: StreamOptions
    /// Puts the prompt in front of the output.
    public var echo: Bool
    /// How many of the likeliest tokens to report at each position.
    public var logprobs: Int?
    /// Whether a text begins with the token that the model expects there.
    public var addsSpecialTokens: Bool
    /// Whether the client wants the prompt alone: `max_tokens` 0 with `echo`.
    public var wantsNoTokens: Bool

    /// Decodes a request; 16 tokens unless it says otherwise.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        prompts = try Prompt.several(&reader, "prompt", model: model)
        streaming = try StreamOptions(&reader)
        echo = try reader.bool("echo") ?? false
        logprobs = try reader.integer("logprobs", in: 0...20)
        var base = SamplingFields.Base.openAI(model, maxTokens: 16)
        base.allowsNoTokens = echo
        fields = try SamplingFields(&reader, model: model, base: base)
        wantsNoTokens = fields.sampling.maxTokens == 0
        fields.sampling.logprobs = logprobs
        if echo, let logprobs { fields.sampling.promptLogprobs = max(logprobs, fields.sampling.promptLogprobs ?? 0) }
        if reader.has("suffix") { throw .unsupported("suffix", "`suffix` is not supported: the model cannot infill.") }
        addsSpecialTokens = try reader.bool("add_special_tokens") ?? true
        try CommonFields.take(&reader)
        try reader.end()
        guard prompts.count * fields.sampleCount <= model.maxPrompts else {
            throw .invalid(
                "n",
                "`n` times the number of prompts must be at most \(model.maxPrompts), got "
                    + "\(prompts.count * fields.sampleCount).", code: "out_of_range")
        }
        if streaming.stream, fields.sampling.promptLogprobs != nil, !echo {
            throw .unsupported("prompt_logprobs", "`prompt_logprobs` is not available with `stream`.")
        }
    }

    /// The engine's requests, one for each prompt.
    public func requests(id: String, model: ServedModel) throws(APIError) -> [InferenceRequest] {
        var requests: [InferenceRequest] = []
        for (index, prompt) in prompts.enumerated() {
            let name = prompts.count > 1 ? "prompt[\(index)]" : "prompt"
            requests.append(
                try model.request(
                    id: prompts.count > 1 ? "\(id)-\(index)" : id,
                    prompt: prompt.encode(for: model, addSpecialTokens: addsSpecialTokens, field: name), fields: fields,
                    promptField: name))
        }
        return requests
    }
}
