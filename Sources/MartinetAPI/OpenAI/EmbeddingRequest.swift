public import MartinetEngine

/// `POST /v1/embeddings`: one vector for each text.
public struct EmbeddingRequest: Sendable {
    /// How vectors are spelled.
    public enum Encoding: String, Sendable, Hashable, CaseIterable {
        /// As arrays of numbers.
        case float
        /// As base64 of 32-bit floats, lowest byte first.
        case base64
    }

    /// The texts.
    public var inputs: [Prompt]
    /// How vectors are spelled.
    public var encoding: Encoding
    /// How many elements to keep of each vector; `nil` for all.
    public var dimensions: Int?
    /// Gives vectors the length 1.
    public var normalizes: Bool
    private var addsSpecialTokens: Bool
    private var truncation: Int?
    private var priority: Int
    private var cacheSalt: String?

    /// Decodes a request.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        inputs = try Prompt.several(&reader, "input", model: model)
        let encoding = try reader.string("encoding_format", maximum: 64) ?? Encoding.float.rawValue
        guard let encoding = Encoding(rawValue: encoding) else {
            throw .invalid("encoding_format", "`encoding_format` must be `float` or `base64`, got `\(encoding)`.")
        }
        self.encoding = encoding
        dimensions = try reader.integer("dimensions", in: 1...Int(Int32.max))
        // The older name, and vLLM's newer one.
        let older = try reader.bool("normalize")
        normalizes = try reader.bool("use_activation") ?? older ?? true
        for (name, only) in [("embed_dtype", "float32"), ("endianness", "native"), ("truncation_side", "left")] {
            if let value = try reader.string(name, maximum: 64), value != only {
                throw .unsupported(name, "`\(name)` must be `\(only)`, got `\(value)`.")
            }
        }
        addsSpecialTokens = try reader.bool("add_special_tokens") ?? true
        truncation = try reader.integer("truncate_prompt_tokens", in: -1...Int(Int32.max))
        if truncation == 0 {
            throw .invalid(
                "truncate_prompt_tokens", "`truncate_prompt_tokens` must be -1 or at least 1, got 0.",
                code: "out_of_range")
        }
        priority = try reader.integer("priority", in: Int(Int32.min)...Int(Int32.max)) ?? 0
        cacheSalt = try reader.string("cache_salt", maximum: 1024)
        try CommonFields.take(&reader)
        try reader.end()
    }

    /// The engine's requests, one for each text.
    public func requests(id: String, model: ServedModel) throws(APIError) -> [InferenceRequest] {
        var requests: [InferenceRequest] = []
        for (index, input) in inputs.enumerated() {
            let field = inputs.count > 1 ? "input[\(index)]" : "input"
            var prompt = try input.encode(for: model, addSpecialTokens: addsSpecialTokens, field: field)
            if let truncation {
                prompt = prompt.suffix(truncation < 0 ? model.maxModelLength : min(truncation, model.maxModelLength))
            }
            guard !prompt.isEmpty else { throw .invalid(field, "`\(field)` must hold at least one token.") }
            guard prompt.count <= model.maxModelLength else {
                throw APIError(
                    status: 400,
                    "This model's maximum context length is \(model.maxModelLength) tokens, but `\(field)` has "
                        + "\(prompt.count). Shorten it, or set `truncate_prompt_tokens`.",
                    parameter: field, code: "context_length_exceeded")
            }
            var request = InferenceRequest(
                id: inputs.count > 1 ? "\(id)-\(index)" : id, prompt: prompt, sampling: .greedy)
            request.embeds = true
            request.priority = priority
            request.cacheSalt = cacheSalt
            requests.append(request)
        }
        return requests
    }
}
