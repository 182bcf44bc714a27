public import MartinetGrammars

/// How tokens are chosen, in the field's common terms (OpenAI's and vLLM's parameters).
public struct SamplingParameters: Sendable, Hashable {
    /// Divides the logits; 0 chooses the likeliest token. 0...2 is usual, up to 100 is taken.
    public var temperature: Double = 1
    /// Keeps the smallest set of likeliest tokens whose probabilities reach this sum; above 0, at most 1.
    public var topP: Double = 1
    /// Keeps the `topK` likeliest tokens; -1 or 0 keeps all.
    public var topK: Int = -1
    /// Keeps tokens at least this likely relative to the likeliest; 0...1.
    public var minP: Double = 0
    /// Divides positive and multiplies negative logits of tokens that prompt or output hold; above 0, 1 is off.
    public var repetitionPenalty: Double = 1
    /// Subtracted from logits of tokens that the output holds; -2...2.
    public var presencePenalty: Double = 0
    /// Subtracted for each time that the output holds the token; -2...2.
    public var frequencyPenalty: Double = 0
    /// Fixes the randomness; `nil` takes a new seed for each request.
    public var seed: UInt64?
    /// Most tokens to generate, at least 1; `nil` fills the model's context.
    public var maxTokens: Int?
    /// End tokens and stop strings are held back until this many tokens.
    public var minTokens: Int = 0
    /// Tokens that end the generation, beside the model's own.
    public var stopTokens: Set<Int32> = []
    /// Goes on past the model's own end tokens.
    public var ignoreEndOfText = false
    /// Added to logits, by token; -100...100.
    public var logitBias: [Int32: Float] = [:]
    /// Report the chosen token's log probability and this many of the likeliest; 0...20. `nil` reports none.
    public var logprobs: Int?
    /// The same for the prompt's tokens.
    public var promptLogprobs: Int?
    /// Token sequences that must not appear.
    public var badWords: [[Int32]] = []
    /// Only these tokens may appear, where set.
    public var allowedTokens: [Int32]?
    /// What the output must match, where set. A text that is whole ends, whatever ``minTokens`` and ``ignoreEndOfText``
    /// say; one that ``maxTokens`` or a stop string cuts need not be whole.
    public var grammar: GrammarSource?

    /// Plain sampling at temperature 1.
    public init() {}

    /// Whether a token ends an output.
    ///
    /// - Parameters:
    ///   - outputCount: tokens of the output, this one included.
    ///   - endTokens: the model's own.
    package func isEnd(_ token: Int32, outputCount: Int, endTokens: Set<Int32>) -> Bool {
        guard grammar != nil || outputCount > minTokens else { return false }
        return stopTokens.contains(token) || (grammar != nil || !ignoreEndOfText) && endTokens.contains(token)
    }

    /// The likeliest token each time.
    public static var greedy: SamplingParameters {
        var parameters = SamplingParameters()
        parameters.temperature = 0
        return parameters
    }
}
