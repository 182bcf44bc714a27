/// Which tokens of a vocabulary may follow.
package struct TokenMask: Sendable, Equatable {
    /// Bits by token, lowest first.
    package internal(set) var words: [UInt64]
    /// Tokens in the vocabulary.
    package let count: Int

    /// No token of so many.
    package init(count: Int) {
        self.count = count
        words = [UInt64](repeating: 0, count: (count + 63) / 64)
    }

    /// Whether a token may follow. One outside the vocabulary may not.
    package func contains(_ token: Int32) -> Bool {
        token >= 0 && token < count && words[Int(token) >> 6] >> UInt64(token & 63) & 1 == 1
    }

    mutating func insert(_ token: Int32) { words[Int(token) >> 6] |= 1 << UInt64(token & 63) }

    mutating func formUnion(_ other: TokenMask) {
        for place in words.indices { words[place] |= other.words[place] }
    }

    /// Whether no token may follow.
    package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    /// The tokens that may follow, in order.
    package var tokens: [Int32] {
        var tokens: [Int32] = []
        for (place, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                tokens.append(Int32(place * 64 + rest.trailingZeroBitCount))
                rest &= rest - 1
            }
        }
        return tokens
    }

    /// Sets the logits of all other tokens to negative infinity, those beyond the vocabulary included.
    package func apply(to logits: UnsafeMutableBufferPointer<Float>) {
        let inside = min(count, logits.count)
        words.withUnsafeBufferPointer { words in
            for (place, word) in words.enumerated() where word != .max {
                let first = place * 64
                let last = min(first + 64, inside)
                guard first < last else { break }
                if word == 0 {
                    logits[first..<last].update(repeating: -.infinity)
                    continue
                }
                for token in first..<last {
                    logits[token] = word >> UInt64(token - first) & 1 == 1 ? logits[token] : -.infinity
                }
            }
        }
        logits[inside...].update(repeating: -.infinity)
    }
}
