/// One prompt to continue, once or several times, or to embed: what a worker is asked for. Token ids only; text is the frontend's.
public struct EngineRequest: Sendable {
    /// Names the request in logs; need not be unique.
    public var id: String
    /// The prompt's token ids, at least one.
    public var prompt: [Int32]
    /// How tokens are chosen.
    public var sampling: SamplingParameters
    /// Which of a request's `n` samples this is, or the first of them: makes its randomness its own.
    public var sampleIndex: Int
    /// How many samples to generate, from ``sampleIndex`` on; at least 1. They share the prompt's computation.
    public var sampleCount: Int
    /// Tokens that were generated before, elsewhere: the sequence goes on behind them as if it had never stopped. Only
    /// for a single sample; needs the seed that they were generated with.
    public var emitted: [Int32]
    /// Smaller runs first; equal priorities run in order of arrival.
    public var priority: Int
    /// Keeps prefix reuse within requests of the same salt.
    public var cacheSalt: String?
    /// When it is of no use any more: from then on it neither waits nor runs. `nil` for never.
    public var deadline: ContinuousClock.Instant?
    /// The conversation that it belongs to, by which a pool may route it.
    public var session: String?
    /// Whether the prompt's embedding is wanted, and no output.
    public var embeds = false

    /// Describes a sequence to generate.
    public init(
        id: String, prompt: [Int32], sampling: SamplingParameters, sampleIndex: Int = 0, sampleCount: Int = 1,
        emitted: [Int32] = [], priority: Int = 0, cacheSalt: String? = nil,
        deadline: ContinuousClock.Instant? = nil, session: String? = nil
    ) {
        self.id = id
        self.prompt = prompt
        self.sampling = sampling
        self.sampleIndex = sampleIndex
        self.sampleCount = sampleCount
        self.emitted = emitted
        self.priority = priority
        self.cacheSalt = cacheSalt
        self.deadline = deadline
        self.session = session
    }
}

/// Why a generation ended.
public enum FinishReason: String, Sendable, Hashable {
    /// An end token, a stop token or a stop string.
    case stop
    /// `maxTokens` or the model's context.
    case length
    /// The client left, or the engine shut down.
    case abort
}

/// A token's log probability beside the likeliest at its position.
public struct TokenLogprobs: Sendable, Hashable {
    /// A token and its natural-log probability.
    public struct Entry: Sendable, Hashable {
        /// The token.
        public var token: Int32
        /// Its log probability.
        public var logprob: Float
        /// Its rank, 1 for the likeliest.
        public var rank: Int

        /// Describes a token at a position.
        public init(token: Int32, logprob: Float, rank: Int) {
            self.token = token
            self.logprob = logprob
            self.rank = rank
        }
    }
    /// The token at this position.
    public var chosen: Entry
    /// The likeliest tokens, best first.
    public var top: [Entry]

    /// Describes a position.
    public init(chosen: Entry, top: [Entry]) {
        self.chosen = chosen
        self.top = top
    }
}

/// What a sequence's stream carries.
public enum TokenEvent: Sendable {
    /// The prompt was processed; `cached` of its tokens came from the prefix cache. Log probabilities where asked for:
    /// `nil` for the first token, which nothing precedes.
    case prompt(cached: Int, logprobs: [TokenLogprobs?]?)
    /// The prompt's embedding, not normalised, where that was asked for; comes behind `prompt`.
    case embedding(Embedding)
    /// A generated token.
    case token(Int32, logprobs: TokenLogprobs?)
    /// The end; nothing follows. An end or stop token that ended it is the last `token` before.
    case finished(FinishReason)
}
