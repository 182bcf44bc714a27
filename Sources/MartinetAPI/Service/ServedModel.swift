public import MartinetTemplates
public import MartinetTokenizers

/// Sampling parameters that a model's authors recommend; `nil` where they say nothing.
public struct SamplingDefaults: Sendable, Hashable {
    /// Divides the logits.
    public var temperature: Double?
    /// Keeps the likeliest tokens up to this probability.
    public var topP: Double?
    /// Keeps this many of the likeliest tokens.
    public var topK: Int?
    /// Keeps tokens at least this likely relative to the likeliest.
    public var minP: Double?
    /// Makes repeated tokens less likely.
    public var repetitionPenalty: Double?

    /// Describes recommendations.
    public init(
        temperature: Double? = nil, topP: Double? = nil, topK: Int? = nil, minP: Double? = nil,
        repetitionPenalty: Double? = nil
    ) {
        self.temperature = temperature
        self.topP = topP
        self.topK = topK
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
    }
}

/// The model that requests are decoded for, and the bounds that they keep.
public struct ServedModel: Sendable {
    /// Names that requests may give; answers carry the first.
    public var names: [String]
    /// Where the model came from, for `/v1/models`.
    public var root: String
    /// When the model was loaded, in seconds since 1970.
    public var created: Int
    /// The longest sequence, prompt and output together.
    public var maxModelLength: Int
    /// Text to tokens and back.
    public var tokenizer: any Tokenizer
    /// What the model's authors recommend.
    public var defaults: SamplingDefaults
    /// How the model writes reasoning and tool calls.
    public var turnFormat: TurnFormat
    /// What the chat template speaks of, such as `tools` or `enable_thinking`.
    public var templateVariables: Set<String>
    /// Most samples of one prompt.
    public var maxSamples: Int
    /// Most prompts in one request.
    public var maxPrompts: Int

    /// Describes a model.
    public init(
        names: [String], root: String, created: Int, maxModelLength: Int, tokenizer: any Tokenizer,
        defaults: SamplingDefaults = SamplingDefaults(), turnFormat: TurnFormat = TurnFormat(),
        templateVariables: Set<String> = ["tools"], maxSamples: Int = 128, maxPrompts: Int = 1024
    ) {
        self.names = names
        self.root = root
        self.created = created
        self.maxModelLength = maxModelLength
        self.tokenizer = tokenizer
        self.defaults = defaults
        self.turnFormat = turnFormat
        self.templateVariables = templateVariables
        self.maxSamples = max(1, min(128, maxSamples))
        self.maxPrompts = maxPrompts
    }

    /// The name that answers carry.
    public var name: String { names.first ?? "model" }

    /// What answers carry as `system_fingerprint`: the same as long as the model is.
    var fingerprint: String {
        // FNV-1a.
        let hash = "\(root) \(maxModelLength)".utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        return "fp_" + String(hash & 0xff_ffff_ffff, radix: 16)
    }

    /// Takes the `model` field: absent or one of ``names``.
    func check(_ fields: inout FieldReader) throws(APIError) {
        guard let name = try fields.string("model") else { return }
        guard names.contains(name) else { throw .unknownModel(name, served: names) }
    }
}
