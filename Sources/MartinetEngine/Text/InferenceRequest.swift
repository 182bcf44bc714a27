/// One request as every API surface decodes it: a prompt in tokens, how to sample, and what text ends it.
public struct InferenceRequest: Sendable {
    /// Names the request in logs and answers.
    public var id: String
    /// The prompt's token ids, at least one.
    public var prompt: [Int32]
    /// How tokens are chosen.
    public var sampling: SamplingParameters
    /// How many samples to generate, at least 1.
    public var sampleCount: Int = 1
    /// Texts that end the generation; they are not part of the output unless `includeStopText`.
    public var stop: [String] = []
    /// Leaves the stop text in the output.
    public var includeStopText = false
    /// Leaves control tokens out of the output text.
    public var skipSpecialTokens = true
    /// Control tokens that the output text shows in any case: those that mark parts of a turn.
    public var shownTokens: Set<Int32> = []
    /// Smaller runs first.
    public var priority = 0
    /// Keeps prefix reuse within requests of the same salt.
    public var cacheSalt: String?
    /// When the request is of no use any more: from then on it neither waits nor runs. `nil` for never.
    public var deadline: ContinuousClock.Instant?
    /// The conversation that the request belongs to, by which a pool of workers may route it.
    public var session: String?

    /// Describes a request.
    public init(id: String, prompt: [Int32], sampling: SamplingParameters) {
        self.id = id
        self.prompt = prompt
        self.sampling = sampling
    }
}

/// What a request's stream carries, for each of its samples.
public enum InferenceEvent: Sendable {
    /// The prompt was processed (once for each request, before any output).
    case prompt(InferencePrompt)
    /// New output of a sample.
    case output(InferenceDelta)
    /// A sample ended.
    case finished(index: Int, reason: FinishReason, stopText: String?)
}

/// Facts about a processed prompt.
public struct InferencePrompt: Sendable {
    /// Tokens in the prompt.
    public var tokenCount: Int
    /// How many of them came from the prefix cache.
    public var cachedTokenCount: Int
    /// Log probabilities by prompt token, where asked for.
    public var logprobs: [TokenLogprobs?]?
}

/// New output of one sample. Text is whole characters; it may be empty while a character or a stop text is undecided,
/// and it may belong to tokens of earlier deltas.
public struct InferenceDelta: Sendable {
    /// Which sample.
    public var index: Int
    /// New text.
    public var text: String
    /// New tokens.
    public var tokens: [Int32]
    /// Log probabilities, one for each token, where asked for.
    public var logprobs: [TokenLogprobs]
}

/// A whole answer, collected from the events.
public struct InferenceResult: Sendable {
    /// One sample.
    public struct Output: Sendable {
        /// Which sample.
        public var index: Int
        /// Its text.
        public var text: String = ""
        /// Its tokens.
        public var tokens: [Int32] = []
        /// Log probabilities, one for each token, where asked for.
        public var logprobs: [TokenLogprobs] = []
        /// Why it ended.
        public var finishReason: FinishReason = .abort
        /// The stop text that ended it.
        public var stopText: String?
    }
    /// Facts about the prompt.
    public var prompt: InferencePrompt
    /// The samples, by index.
    public var outputs: [Output]
    /// Generated tokens of all samples.
    public var generatedTokenCount: Int { outputs.reduce(0) { $0 + $1.tokens.count } }
}
