/// Finds where the last tokens of a growing sequence occurred before.
///
/// Positions are chained by the hash of the few tokens in front of them, latest first, as LZ77 compressors do it. A
/// search looks at a fixed number of positions, so that a token costs the same however long the sequence is; the memory
/// is at most 16 bytes a token.
package struct TokenHistory {
    /// An earlier place like the end of the sequence.
    package struct Match: Hashable {
        /// The position of the token that followed there.
        package var next: Int
        /// How many tokens in front of it are the same as the last ones; at most the longest that is looked for.
        package var length: Int

        /// Describes a place.
        package init(next: Int, length: Int) {
            self.next = next
            self.length = length
        }
    }

    private static let mostCandidates = 16

    private let lengths: ClosedRange<Int>
    /// By hash: the last position behind such tokens, 0 for none.
    private var heads: [Int32] = []
    /// By position: the one before in its chain.
    private var earlier: [Int32] = []

    /// Makes a history without tokens.
    ///
    /// - Parameter lengths: how many tokens must be the same, and how many are compared at most; at least 1.
    package init(lengths: ClosedRange<Int>) {
        self.lengths = lengths
    }

    /// The earlier place where most of the last tokens occurred, the latest of several; `nil` where fewer than the
    /// shortest match did.
    ///
    /// - Parameter tokens: the whole sequence; those of the last call are its beginning.
    package mutating func match(_ tokens: [Int32]) -> Match? {
        add(tokens)
        guard tokens.count > lengths.lowerBound else { return nil }
        var best: Match?
        var candidate = Int(heads[bucket(tokens, endingAt: tokens.count)])
        for _ in 0..<Self.mostCandidates where candidate > 0 {
            var length = 0
            while length < lengths.upperBound, length < candidate,
                tokens[candidate - 1 - length] == tokens[tokens.count - 1 - length]
            {
                length += 1
            }
            if length >= lengths.lowerBound, length > best?.length ?? 0 {
                best = Match(next: candidate, length: length)
            }
            if length == lengths.upperBound { break }
            candidate = Int(earlier[candidate])
        }
        return best
    }

    /// Chains the positions that came since the last call: of those that another token follows, as nothing is to be
    /// learnt from the end itself.
    private mutating func add(_ tokens: [Int32]) {
        if tokens.count > heads.count {
            // All are chained anew: as the size doubles, each token was chained twice on average.
            var size = 64
            while size < tokens.count { size *= 2 }
            heads = Array(repeating: 0, count: size)
            earlier.removeAll(keepingCapacity: true)
        }
        while earlier.count < tokens.count {
            let position = earlier.count
            guard position >= lengths.lowerBound else {
                earlier.append(0)
                continue
            }
            let bucket = bucket(tokens, endingAt: position)
            earlier.append(heads[bucket])
            heads[bucket] = Int32(truncatingIfNeeded: position)
        }
    }

    private func bucket(_ tokens: [Int32], endingAt end: Int) -> Int {
        var hash: UInt64 = 0
        for token in tokens[(end - lengths.lowerBound)..<end] {
            hash = (hash ^ UInt64(UInt32(bitPattern: token))) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 32
        }
        return Int(truncatingIfNeeded: hash) & (heads.count - 1)
    }
}
