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

    /// Some tokens of so many; all must be among them.
    init(_ tokens: [Int32], count: Int) {
        self.init(count: count)
        words.withUnsafeMutableBufferPointer { words in
            for token in tokens { words[Int(token) >> 6] |= 1 << UInt64(token & 63) }
        }
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
        let blends = Self.blends
        words.withUnsafeBufferPointer { words in
            for (place, word) in words.enumerated() where word != .max {
                let first = place * 64
                let last = min(first + 64, inside)
                guard first < last, let block = logits.baseAddress else { break }
                if word == 0 {
                    logits[first..<last].update(repeating: -.infinity)
                } else if last - first == 64 {
                    Self.apply(word, to: UnsafeMutableRawPointer(block + first), blends)
                } else {
                    for token in first..<last where word >> UInt64(token - first) & 1 == 0 {
                        logits[token] = -.infinity
                    }
                }
            }
        }
        logits[inside...].update(repeating: -.infinity)
    }

    /// For four bits, which bits of four logits stay, and what takes the place of the others.
    private static let blends: [(kept: SIMD4<UInt32>, added: SIMD4<UInt32>)] = (UInt32(0)..<16).map { bits in
        var kept = SIMD4<UInt32>()
        var added = SIMD4<UInt32>()
        for place in 0..<4 {
            let isAllowed = bits >> UInt32(place) & 1 == 1
            kept[place] = isAllowed ? .max : 0
            added[place] = isAllowed ? 0 : (-Float.infinity).bitPattern
        }
        return (kept, added)
    }

    /// 64 logits, without a branch for each.
    @inline(__always)
    private static func apply(
        _ word: UInt64, to block: UnsafeMutableRawPointer,
        _ blends: [(kept: SIMD4<UInt32>, added: SIMD4<UInt32>)]
    ) {
        for part in 0..<16 {
            let blend = blends[Int(word >> UInt64(part * 4) & 15)]
            let values = block.loadUnaligned(fromByteOffset: part * 16, as: SIMD4<UInt32>.self)
            block.storeBytes(of: values & blend.kept | blend.added, toByteOffset: part * 16, as: SIMD4<UInt32>.self)
        }
    }
}
