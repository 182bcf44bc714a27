/// Merges listed by rank, as GPT-2's `merges.txt` and `tokenizer.json` have them, found by their pair of tokens.
package struct RankedMerges: MergeRule {
    private struct Merge: BitwiseCopyable, Sendable {
        var left: Int32
        var right: Int32
        var token: Int32
    }

    /// By rank; holes are never found.
    private var ranked: [Merge] = []
    /// Ranks by hash of the pair, or -1: small enough to stay in the cache, where most pairs are found not to merge.
    private var slots: [Int32]

    /// Builds the table; of two merges of the same pair the later counts, as in Python's `tokenizers`.
    ///
    /// Merges that make or take a control token are left out: some converted vocabularies list them, and text that a
    /// user wrote must never become a control token.
    ///
    /// - Throws: `invalidDefinition` for a merge that names an unknown token or makes one.
    package init(_ merges: [TokenizerMerge], inventory: TokenInventory) throws(TokenizerError) {
        let vocabulary = inventory.names
        var capacity = 16
        while capacity < merges.count * 2 { capacity *= 2 }
        slots = [Int32](repeating: -1, count: capacity)
        guard merges.count < Int(Int32.max) else {
            throw TokenizerError(.invalidDefinition, "there are \(merges.count) merges")
        }
        ranked.reserveCapacity(merges.count)
        var joined: [UInt8] = []
        for (rank, merge) in merges.enumerated() {
            guard let left = vocabulary.find(merge.left), let right = vocabulary.find(merge.right) else {
                throw TokenizerError(
                    .invalidDefinition,
                    "merge \(rank) (\"\(merge.left)\" + \"\(merge.right)\") names a token that the vocabulary lacks")
            }
            joined.removeAll(keepingCapacity: true)
            joined.append(contentsOf: merge.left.utf8)
            joined.append(contentsOf: merge.right.utf8)
            guard let token = joined.withUnsafeBufferPointer({ vocabulary.find($0) }) else {
                throw TokenizerError(
                    .invalidDefinition,
                    "merge \(rank) (\"\(merge.left)\" + \"\(merge.right)\") makes a token that the vocabulary lacks")
            }
            ranked.append(Merge(left: left, right: right, token: token))
            let isControl = inventory.isControl
            if isControl[Int(token)] || isControl[Int(left)] || isControl[Int(right)] { continue }
            slots[slot(of: left, right)] = Int32(rank)
        }
    }

    /// Where a pair is, or where it would be put.
    @inline(__always)
    private func slot(of left: Int32, _ right: Int32) -> Int {
        let mask = slots.count - 1
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
        var slot = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 24) & mask
        while slots[slot] >= 0 {
            let merge = ranked[Int(slots[slot])]
            if merge.left == left, merge.right == right { break }
            slot = (slot + 1) & mask
        }
        return slot
    }

    package func merge(
        _ left: MergeSymbol, _ right: MergeSymbol, in text: UnsafeBufferPointer<UInt8>
    ) -> (priority: UInt32, token: Int32)? {
        let rank = slots[slot(of: left.token, right.token)]
        return rank < 0 ? nil : (UInt32(rank), ranked[Int(rank)].token)
    }
}
