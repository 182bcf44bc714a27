import MartinetModelFormats

/// What a model's authors recommend for sampling; `nil` where they say nothing.
public struct GenerationDefaults: Sendable, Hashable {
    /// Divides the logits.
    public var temperature: Double?
    /// Nucleus sampling's bound.
    public var topP: Double?
    /// How many of the likeliest tokens are kept.
    public var topK: Int?
    /// The least likelihood relative to the likeliest.
    public var minP: Double?
    /// Weakens tokens that have appeared.
    public var repetitionPenalty: Double?
    /// Tokens that end a generation, beside the tokenizer's own.
    public var endTokens: Set<Int32> = []

    /// Nothing recommended.
    public init() {}

    /// Reads `generation_config.json`; values that make no sense count as absent.
    init(_ config: JSONValue?, modelConfig: JSONValue?) {
        func number(_ key: String, in range: ClosedRange<Double>) -> Double? {
            config?[key]?.double.flatMap { range.contains($0) ? $0 : nil }
        }
        temperature = number("temperature", in: 0...100)
        // Authors who turn sampling off want the likeliest token.
        if config?["do_sample"]?.bool == false { temperature = 0 }
        topP = number("top_p", in: 1e-9...1)
        topK = config?["top_k"]?.int.flatMap { (0...(1 << 24)).contains($0) ? $0 : nil }
        minP = number("min_p", in: 0...1)
        repetitionPenalty = number("repetition_penalty", in: 1e-3...100)
        let ids = config?["eos_token_id"]?.ints ?? modelConfig?["eos_token_id"]?.ints ?? []
        endTokens = Set(ids.compactMap { Int32(exactly: $0) }.filter { $0 >= 0 })
    }
}
