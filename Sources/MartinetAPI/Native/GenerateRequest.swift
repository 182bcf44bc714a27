public import MartinetEngine

/// `POST /generate` and `POST /generate_batch`.
public struct GenerateRequest: Sendable {
    /// The prompts, one for `/generate`.
    public var prompts: [Prompt]
    /// How to generate.
    public var fields: SamplingFields
    /// Whether the answer is a stream of events.
    public var stream: Bool
    /// Whether this is a batch.
    public var isBatch: Bool

    /// Decodes `/generate`: temperature 0.7, top_p 0.95 and 100 tokens unless the request says otherwise.
    public static func single(_ body: JSONBody, model: ServedModel) throws(APIError) -> GenerateRequest {
        var reader = try body.reader()
        let prompt = try Prompt.one(&reader, "prompt", model: model)
        return try GenerateRequest(&reader, prompts: [prompt], isBatch: false, model: model)
    }

    /// Decodes `/generate_batch`.
    public static func batch(_ body: JSONBody, model: ServedModel) throws(APIError) -> GenerateRequest {
        var reader = try body.reader()
        guard let values = try reader.array("prompts", maximum: model.maxPrompts) else {
            throw .invalid(
                "prompts", "`prompts` is required: an array of strings or of arrays of token ids.",
                code: "missing_required_parameter")
        }
        let prompts = try Prompt.list(values, "prompts", model: model)
        return try GenerateRequest(&reader, prompts: prompts, isBatch: true, model: model)
    }

    private init(
        _ reader: inout FieldReader, prompts: [Prompt], isBatch: Bool, model: ServedModel
    ) throws(APIError) {
        try model.check(&reader)
        self.prompts = prompts
        self.isBatch = isBatch
        fields = try SamplingFields(
            &reader, model: model, base: .init(temperature: 0.7, topP: 0.95, maxTokens: 100))
        fields.sampling.logprobs = try reader.integer("logprobs", in: 0...20)
        stream = try reader.bool("stream") ?? false
        if isBatch {
            if stream { throw .unsupported("stream", "`stream` is not supported on /generate_batch; use /generate.") }
            if fields.sampleCount > 1 {
                throw .unsupported("n", "`n` must be 1 on /generate_batch: one output for each prompt.")
            }
        }
        if stream, fields.sampling.promptLogprobs != nil {
            throw .unsupported("prompt_logprobs", "`prompt_logprobs` is not available with `stream`.")
        }
        try reader.end()
    }

    /// The engine's requests, one for each prompt.
    public func requests(id: String, model: ServedModel) throws(APIError) -> [InferenceRequest] {
        var requests: [InferenceRequest] = []
        for (index, prompt) in prompts.enumerated() {
            let name = isBatch ? "prompts[\(index)]" : "prompt"
            requests.append(
                try model.request(
                    id: prompts.count > 1 ? "\(id)-\(index)" : id,
                    prompt: prompt.encode(for: model, field: name), fields: fields, promptField: name))
        }
        return requests
    }
}
