internal import MartinetJSON
public import MartinetEngine
internal import MartinetTokenizers

/// OpenAI's classes of service.
public enum ServiceTier: String, Sendable, Hashable {
    /// Neither of the others.
    case standard = "default"
    /// Cheaper and slower: runs when nothing else waits.
    case flex
    /// Before the others.
    case priority

    /// The priority of requests that name none.
    var priority: Int {
        switch self {
        case .standard: 0
        case .flex: 10
        case .priority: -10
        }
    }
}

/// The fields that say how to generate, common to all surfaces: OpenAI's and vLLM's names.
public struct SamplingFields: Sendable {
    /// How tokens are chosen.
    public var sampling: SamplingParameters
    /// How many samples to generate.
    public var sampleCount = 1
    /// Texts that end the generation.
    public var stop: [String] = []
    /// Leaves the stop text in the output.
    public var includeStopText = false
    /// Leaves control tokens out of the output text.
    public var skipSpecialTokens = true
    /// Smaller runs first.
    public var priority = 0
    /// Keeps prefix reuse within requests of the same salt.
    public var cacheSalt: String?
    /// Keeps only this many of the prompt's last tokens; -1 stands for as many as the model takes.
    public var truncatePromptTokens: Int?
    /// Adds token ids to answers.
    public var returnTokenIDs = false
    /// Names tokens in log probabilities by their ids, as `token_id:5`.
    public var namesTokensByID = false
    /// How urgent the client says that it is.
    public var serviceTier = ServiceTier.standard
    /// Whether the client itself bounded the output.
    public var hasExplicitMaxTokens = false
    /// What the answer must match, where set.
    public var constraint: OutputConstraint?

    /// Most texts in `stop`.
    static let maximumStops = 64
    /// Most bytes of one stop text.
    static let maximumStopLength = 4096

    /// What a surface starts from.
    struct Base {
        var temperature: Double
        var topP: Double
        var maxTokens: Int?
        /// Names of the field that bounds the output, the first that is present counts.
        var maxTokensFields = ["max_tokens"]
        /// Whether `max_tokens` may be 0: to have a prompt echoed and scored.
        var allowsNoTokens = false

        static func openAI(_ model: ServedModel, maxTokens: Int?) -> Base {
            Base(
                temperature: model.defaults.temperature ?? 1, topP: model.defaults.topP ?? 1, maxTokens: maxTokens)
        }
    }

    /// The model's defaults, for surfaces that fill in the rest themselves; the output fills the context.
    public init(model: ServedModel) {
        sampling = SamplingParameters()
        sampling.temperature = model.defaults.temperature ?? 1
        sampling.topP = model.defaults.topP ?? 1
        sampling.topK = model.defaults.topK ?? -1
        sampling.minP = model.defaults.minP ?? 0
        sampling.repetitionPenalty = model.defaults.repetitionPenalty ?? 1
    }

    /// Takes and checks all sampling fields. `logprobs` is the surface's own.
    init(_ fields: inout FieldReader, model: ServedModel, base: Base) throws(APIError) {
        sampling = SamplingParameters()
        sampling.temperature = try fields.number("temperature", in: 0...100) ?? base.temperature
        sampling.topP = try fields.number("top_p", in: 0...1, excludingLower: true) ?? base.topP
        sampling.topK = try fields.integer("top_k", in: -1...Int(Int32.max)) ?? model.defaults.topK ?? -1
        sampling.minP = try fields.number("min_p", in: 0...1) ?? model.defaults.minP ?? 0
        sampling.repetitionPenalty =
            try fields.number("repetition_penalty", in: 0...1000, excludingLower: true)
            ?? model.defaults.repetitionPenalty ?? 1
        sampling.presencePenalty = try fields.number("presence_penalty", in: -2...2) ?? 0
        sampling.frequencyPenalty = try fields.number("frequency_penalty", in: -2...2) ?? 0
        sampling.seed = try fields.integer("seed", in: .min ... .max).map { UInt64(bitPattern: Int64($0)) }
        try takeLengths(&fields, base: base)
        try takeStops(&fields, model: model)
        try takeTokenSets(&fields, model: model)
        sampling.promptLogprobs = try fields.integer("prompt_logprobs", in: 0...20)

        sampleCount = try fields.integer("n", in: 1...model.maxSamples) ?? 1
        if let bestOf = try fields.integer("best_of", in: 1...model.maxSamples), bestOf != sampleCount {
            throw .unsupported("best_of", "`best_of` must equal `n`: samples are not ranked here.")
        }
        if try fields.bool("use_beam_search") == true {
            throw .unsupported("use_beam_search", "`use_beam_search` is not supported; sample with `n` instead.")
        }
        skipSpecialTokens = try fields.bool("skip_special_tokens") ?? true
        _ = try fields.bool("spaces_between_special_tokens")
        _ = try fields.number("length_penalty", in: -1e6...1e6)
        let priority = try fields.integer("priority", in: Int(Int32.min)...Int(Int32.max))
        cacheSalt = try fields.string("cache_salt", maximum: 1024)
        if cacheSalt == "" { throw .invalid("cache_salt", "`cache_salt` must not be empty.") }
        truncatePromptTokens = try fields.integer("truncate_prompt_tokens", in: -1...Int(Int32.max))
        if truncatePromptTokens == 0 {
            throw .invalid(
                "truncate_prompt_tokens", "`truncate_prompt_tokens` must be -1 or at least 1, got 0.",
                code: "out_of_range")
        }
        returnTokenIDs = try fields.bool("return_token_ids") ?? false
        namesTokensByID = try fields.bool("return_tokens_as_token_ids") ?? false
        constraint = try StructuredOutput.take(&fields)
        try takeServiceTier(&fields)
        self.priority = priority ?? serviceTier.priority
        for name in Self.unsupported where fields.has(name) {
            throw .unsupported(name, "`\(name)` is not supported.")
        }
        if let side = try fields.string("truncation_side", maximum: 64), side != "left" {
            throw .unsupported("truncation_side", "`truncation_side` must be `left`, got `\(side)`.")
        }
    }

    /// What would change the answer and cannot be done.
    private static let unsupported = [
        "kv_transfer_params", "logits_processors", "logprob_token_ids", "prompt_embeds", "repetition_detection",
        "return_prompt_text", "thinking_token_budget", "vllm_xargs",
    ]

    /// OpenAI's tiers as priorities, where the request names none itself.
    private mutating func takeServiceTier(_ fields: inout FieldReader) throws(APIError) {
        switch try fields.string("service_tier", maximum: 64) {
        case nil, "auto"?, "default"?, "scale"?: break
        case "flex"?: serviceTier = .flex
        case "priority"?, "fast"?: serviceTier = .priority
        case let other?:
            throw .invalid(
                "service_tier", "`service_tier` must be auto, default, fast, flex, scale or priority, got `\(other)`.")
        }
    }

    private mutating func takeLengths(_ fields: inout FieldReader, base: Base) throws(APIError) {
        for name in base.maxTokensFields {
            let limit = try fields.integer(name, in: (base.allowsNoTokens ? 0 : 1)...Int(Int32.max))
            if let limit, !hasExplicitMaxTokens {
                sampling.maxTokens = limit
                hasExplicitMaxTokens = true
            }
        }
        if !hasExplicitMaxTokens { sampling.maxTokens = base.maxTokens }
        sampling.minTokens = try fields.integer("min_tokens", in: 0...Int(Int32.max)) ?? 0
        if let limit = sampling.maxTokens, sampling.minTokens > max(1, limit) {
            throw .invalid(
                "min_tokens", "`min_tokens` must be at most `max_tokens` (\(limit)), got \(sampling.minTokens).",
                code: "out_of_range")
        }
        sampling.ignoreEndOfText = try fields.bool("ignore_eos") ?? false
    }

    private mutating func takeStops(_ fields: inout FieldReader, model: ServedModel) throws(APIError) {
        switch fields.take("stop") {
        case nil: break
        case .string(let text)?: stop = [text]
        case .array(let values)?:
            guard values.count <= Self.maximumStops else {
                throw .invalid(
                    "stop", "`stop` must have at most \(Self.maximumStops) texts, got \(values.count).",
                    code: "array_above_max_length")
            }
            for (index, value) in values.enumerated() {
                guard case .string(let text) = value else {
                    throw fields.wrong("stop[\(index)]", "a string", got: value)
                }
                stop.append(text)
            }
        case let value?: throw fields.wrong("stop", "a string or an array of strings", got: value)
        }
        if stop.contains("") { throw .invalid("stop", "`stop` must not hold an empty string.") }
        if let long = stop.first(where: { $0.utf8.count > Self.maximumStopLength }) {
            throw .invalid(
                "stop", "`stop` texts must have at most \(Self.maximumStopLength) bytes, got \(long.utf8.count).",
                code: "string_above_max_length")
        }
        includeStopText = try fields.bool("include_stop_str_in_output") ?? false
        let vocabulary = model.tokenizer.vocabularySize
        if let tokens = try fields.tokens("stop_token_ids", maximum: 128, vocabularySize: vocabulary) {
            sampling.stopTokens = Set(tokens)
        }
    }

    private mutating func takeTokenSets(_ fields: inout FieldReader, model: ServedModel) throws(APIError) {
        let vocabulary = model.tokenizer.vocabularySize
        if let value = fields.take("logit_bias") {
            guard case .object(let members) = value else { throw fields.wrong("logit_bias", "an object", got: value) }
            for (key, value) in members {
                let name = "logit_bias.\(key.prefix(32))"
                guard let token = Int32(key), token >= 0, Int(token) < vocabulary else {
                    throw .invalid(
                        "logit_bias",
                        "`logit_bias` keys must be token ids from 0 to \(vocabulary - 1), got \"\(key.prefix(32))\".")
                }
                sampling.logitBias[token] = Float(try FieldReader.number(value, name, in: -100...100))
            }
        }
        if let tokens = try fields.tokens("allowed_token_ids", maximum: vocabulary, vocabularySize: vocabulary) {
            guard !tokens.isEmpty else {
                throw .invalid("allowed_token_ids", "`allowed_token_ids` must hold at least one token.")
            }
            sampling.allowedTokens = tokens
        }
        if let words = try fields.array("bad_words", maximum: 512) {
            for (index, word) in words.enumerated() {
                guard case .string(let text) = word, !text.isEmpty, text.utf8.count <= 1024 else {
                    throw fields.wrong(
                        "bad_words[\(index)]", "a string of 1 to 1024 bytes", got: word)
                }
                // A word inside a sentence carries a space in front; both spellings are banned.
                for spelling in [text, text.hasPrefix(" ") ? text : " " + text] {
                    let tokens = model.tokenizer.encode(spelling, specials: .asText)
                    if !tokens.isEmpty, !sampling.badWords.contains(tokens) { sampling.badWords.append(tokens) }
                }
            }
        }
    }
}
