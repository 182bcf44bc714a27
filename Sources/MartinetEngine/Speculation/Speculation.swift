/// How an engine guesses tokens, so that a step can verify several of a sequence at once.
///
/// Whatever is guessed, the tokens that come out are the same: a guess only decides how many of them a step yields.
public enum Speculation: Sendable, Hashable {
    /// One token a step and sequence.
    case off
    /// Guesses that a text goes on as it did where its last tokens occurred before, in the prompt or the output
    /// (Saxena, "Prompt Lookup Decoding", 2023).
    ///
    /// - Parameters:
    ///   - maxDraftTokens: most tokens to guess ahead, 1...32.
    ///   - matching: how many last tokens must have occurred, from 1...16. An occurrence of the upper bound is as good
    ///     as a longer one.
    case promptLookup(maxDraftTokens: Int = 8, matching: ClosedRange<Int> = 2...8)

    /// Rows of logits that a runner for so many sequences needs: with more than 32 no guess pays (``StepLoad``).
    func logitRows(sequences: Int) -> Int {
        guard case .promptLookup(let maxDraftTokens, _) = self else { return sequences }
        return max(sequences, min(32, sequences * (maxDraftTokens + 1)))
    }

    /// What a new sequence guesses with.
    func makeDrafter() -> Drafter? {
        guard case .promptLookup(let maxDraftTokens, let matching) = self else { return nil }
        return Drafter(maxDraftTokens: maxDraftTokens, matching: matching)
    }

    func validate() throws(EngineError) {
        guard case .promptLookup(let maxDraftTokens, let matching) = self else { return }
        guard (1...32).contains(maxDraftTokens) else {
            throw EngineError(
                .invalidParameter, "num_speculative_tokens must be from 1 to 32, but is \(maxDraftTokens).",
                parameter: "num_speculative_tokens")
        }
        guard matching.lowerBound >= 1, matching.upperBound <= 16 else {
            throw EngineError(
                .invalidParameter,
                "prompt_lookup_min and prompt_lookup_max must be from 1 to 16, but are \(matching.lowerBound) and "
                    + "\(matching.upperBound).", parameter: "prompt_lookup_max")
        }
    }
}
