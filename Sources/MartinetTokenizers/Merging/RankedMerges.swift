/// Merges listed by rank, as GPT-2's `merges.txt` and `tokenizer.json` have them: a hash table from a pair of tokens
/// to the pair's rank and the token that it becomes.
package struct RankedMerges: MergeRule {
    private var keys: [UInt64]
    private var values: [UInt64]
    private static var free: UInt64 { .max }

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
        keys = [UInt64](repeating: Self.free, count: capacity)
        values = [UInt64](repeating: 0, count: capacity)
        guard merges.count < Int(Int32.max) else {
            throw TokenizerError(.invalidDefinition, "there are \(merges.count) merges")
        }
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
            let isControl = inventory.isControl
            if isControl[Int(token)] || isControl[Int(left)] || isControl[Int(right)] { continue }
            let key = Self.key(left, right)
            var slot = Self.slot(key) & (capacity - 1)
            while keys[slot] != Self.free, keys[slot] != key { slot = (slot + 1) & (capacity - 1) }
            keys[slot] = key
            values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: token))
        }
    }

    package func merge(
        _ left: MergeSymbol, _ right: MergeSymbol, in text: UnsafeBufferPointer<UInt8>
    ) -> (priority: UInt32, token: Int32)? {
        let key = Self.key(left.token, right.token)
        let mask = keys.count - 1
        var slot = Self.slot(key) & mask
        while true {
            let found = keys[slot]
            if found == key {
                let value = values[slot]
                return (UInt32(value >> 32), Int32(truncatingIfNeeded: value))
            }
            if found == Self.free { return nil }
            slot = (slot + 1) & mask
        }
    }

    @inline(__always)
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private static func slot(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 24)
    }
}
