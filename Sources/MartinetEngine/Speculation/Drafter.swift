/// Guesses the next tokens of one sequence, and how likely each guess is to hold.
///
/// It predicts every token, whether or not a step verifies the prediction, and so learns at no cost how often it is
/// right: a sequence that stopped drafting begins again when its text has become predictable.
package struct Drafter {
    private let maxDraftTokens: Int
    private let lengths: ClosedRange<Int>
    private var history: TokenHistory
    /// The place that the text is following.
    private var followed: TokenHistory.Match?
    /// How often a prediction was right lately, by the length of its match from the shortest on.
    private var rates: [Double]

    /// What one outcome changes of a rate.
    private static let weight = 1.0 / 16

    /// Makes a drafter that has seen nothing.
    ///
    /// - Parameters:
    ///   - maxDraftTokens: most tokens to guess, at least 1.
    ///   - matching: how many last tokens must have occurred, at least 1.
    package init(maxDraftTokens: Int, matching: ClosedRange<Int>) {
        self.maxDraftTokens = maxDraftTokens
        lengths = matching
        history = TokenHistory(lengths: matching)
        rates = matching.map(Self.expectedRate)
    }

    /// What to expect of a match of some tokens before anything is known.
    private static func expectedRate(_ length: Int) -> Double { 1 - 1 / Double(length) }

    /// Compares the last token with what was predicted, and predicts the one behind it.
    package mutating func observe(_ tokens: [Int32]) {
        if let match = followed, let token = tokens.last {
            let isRight = tokens[match.next] == token
            let index = rateIndex(match.length)
            rates[index] += Self.weight * ((isRight ? 1 : 0) - rates[index])
            followed = isRight ? .init(next: match.next + 1, length: match.length + 1) : nil
        }
        if followed == nil { followed = history.match(tokens) }
    }

    /// The next tokens, as far as guessing them pays.
    ///
    /// - Parameters:
    ///   - tokens: the whole sequence, as observed.
    ///   - limit: most tokens to guess.
    ///   - load: the step so far; the guesses are added to it.
    ///   - isPossible: asked for one guess after the other; the first that cannot be ends them.
    package func draft(
        _ tokens: [Int32], limit: Int, load: inout StepLoad, where isPossible: (Int32) -> Bool = { _ in true }
    ) -> [Int32] {
        guard let match = followed else { return [] }
        var drafts: [Int32] = []
        var probability = 1.0
        while drafts.count < min(limit, maxDraftTokens) {
            // A guess counts only if all in front of it hold.
            probability *= rates[rateIndex(match.length + drafts.count)]
            let next = match.next + drafts.count
            let token = next < tokens.count ? tokens[next] : drafts[next - tokens.count]
            guard isPossible(token), load.add(probability: probability) else { break }
            drafts.append(token)
        }
        return drafts
    }

    private func rateIndex(_ length: Int) -> Int { min(length, lengths.upperBound) - lengths.lowerBound }
}
