/// What transformers computes in float32 with a model's dequantised weights (`scripts/fixtures/reference.py`).
public struct ReferenceLogits: Decodable, Sendable {
    /// A prompt.
    public struct Prompt: Decodable, Sendable {
        /// What it is called.
        public var name: String
        /// The text; for a chat, as the template renders it.
        public var text: String
        /// Its tokens.
        public var tokens: [Int32]
        /// The likeliest token each time, after it.
        public var greedy: [Int32]
        /// The logits after each token.
        public var positions: [Position]
    }
    /// A row of logits.
    public struct Position: Decodable, Sendable {
        /// The likeliest tokens, best first.
        public var top: [Int32]
        /// Their logits.
        public var topLogits: [Float]
        /// The logits of ``ReferenceLogits/fixed``.
        public var fixedLogits: [Float]
        /// Of the whole row.
        public var logSumExp: Float
        /// The root mean square of the whole row.
        public var rms: Float
    }
    /// The text whose perplexity is measured.
    public struct Text: Decodable, Sendable {
        /// Its tokens.
        public var tokens: [Int32]
        /// Over all tokens but the first.
        public var meanNegativeLogLikelihood: Double
    }
    /// Tokens that every position gives the logits of.
    public var fixed: [Int32]
    /// The prompts.
    public var prompts: [Prompt]
    /// The public-domain text.
    public var text: Text
}

/// What transformers computes with a model of random weights (`scripts/fixtures/tiny_models.py`).
public struct TinyReference: Decodable, Sendable {
    /// The prompt.
    public var tokens: [Int32]
    /// Of each row, every how manieth logit is here.
    public var every: Int
    /// A row for each token.
    public var logits: [[Float]]
}
