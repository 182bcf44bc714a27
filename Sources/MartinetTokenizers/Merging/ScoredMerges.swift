/// SentencePiece's rule: two neighbours merge if together they spell a token, the best score first.
///
/// Where scores tie, the order is the one in which Python's converters list the merges of such a model (longer left
/// part, longer right part, smaller id), so that ids equal those of the converted `tokenizer.json`.
package struct ScoredMerges: MergeRule {
    package struct Priority: Comparable, BitwiseCopyable, Sendable {
        var order: UInt64
        var token: Int32

        package static func < (a: Priority, b: Priority) -> Bool {
            a.order < b.order || (a.order == b.order && a.token < b.token)
        }
    }

    /// Tokens that text can become: no control, unknown or byte tokens.
    package let pieces: SpellingTable
    private let orders: [UInt32]

    /// - Parameter scores: One for each piece, none of them NaN.
    package init(pieces: SpellingTable, scores: [Float]) throws(TokenizerError) {
        guard scores.count == pieces.count else {
            throw TokenizerError(
                .invalidDefinition, "there are \(pieces.count) tokens but \(scores.count) scores; give one per token")
        }
        if let index = scores.firstIndex(where: \.isNaN) {
            throw TokenizerError(.invalidDefinition, "the score of token \(index) is not a number")
        }
        self.pieces = pieces
        // The bits of a float order like integers once negative ones are flipped; complemented, the best is smallest.
        orders = scores.map { score in
            let bits = (score == 0 ? 0 : score).bitPattern
            return ~(bits & 0x8000_0000 != 0 ? ~bits : bits | 0x8000_0000)
        }
    }

    package func merge(
        _ left: MergeSymbol, _ right: MergeSymbol, in text: UnsafeBufferPointer<UInt8>
    ) -> (priority: Priority, token: Int32)? {
        // Pieces of a byte that had no token of its own have an empty range: they never merge.
        guard left.end > left.start, right.end > right.start, left.end == right.start else { return nil }
        let joined = UnsafeBufferPointer(rebasing: text[Int(left.start)..<Int(right.end)])
        guard let token = pieces.find(joined) else { return nil }
        let lengths = min(left.end - left.start, 0xffff) << 16 | min(right.end - right.start, 0xffff)
        let order = UInt64(orders[Int(token)]) << 32 | UInt64(~UInt32(bitPattern: lengths))
        return (Priority(order: order, token: token), token)
    }
}
