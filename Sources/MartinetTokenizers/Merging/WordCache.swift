/// The tokens of short words met earlier in the same text: language repeats itself, and merging costs far more than a
/// look-up. Direct-mapped and bounded: a word that falls on another's place replaces it.
struct WordCache {
    private struct Entry: BitwiseCopyable {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var start: Int32 = 0
        var count: Int32 = 0
    }

    /// A word's bytes and its length in sixteen bytes.
    struct Key: BitwiseCopyable {
        fileprivate var low: UInt64 = 0
        fileprivate var high: UInt64 = 0

        /// The key of a word of at most 15 bytes.
        @inline(__always)
        init?(_ word: UnsafeBufferPointer<UInt8>) {
            guard word.count < 16 else { return nil }
            high = UInt64(word.count)
            var index = 0
            while index < word.count {
                if index < 8 {
                    low = low << 8 | UInt64(word[index])
                } else {
                    high = high << 8 | UInt64(word[index])
                }
                index += 1
            }
        }

        fileprivate var slot: Int {
            let mixed = (low ^ (high &* 0xff51_afd7_ed55_8ccd)) &* 0x9e37_79b9_7f4a_7c15
            return Int(truncatingIfNeeded: mixed >> 52)
        }
    }

    private static let size = 4096
    private static let tokenLimit = 1 << 16
    private var entries: [Entry] = []
    private var tokens: [Int32] = []

    /// A cache for a text of a length in bytes; for a short text it keeps nothing, because making it costs more.
    init(textLength: Int) {
        if textLength >= 2048 { entries = [Entry](repeating: Entry(), count: Self.size) }
    }

    /// Appends a word's tokens, if they are known.
    @inline(__always)
    func append(_ key: Key, to result: inout [Int32]) -> Bool {
        if entries.isEmpty { return false }
        let entry = entries[key.slot]
        guard entry.count > 0, entry.low == key.low, entry.high == key.high else { return false }
        let start = Int(entry.start)
        for index in start..<start + Int(entry.count) { result.append(tokens[index]) }
        return true
    }

    /// Remembers a word's tokens.
    mutating func store(_ key: Key, _ word: ArraySlice<Int32>) {
        if entries.isEmpty || word.isEmpty { return }
        if tokens.count + word.count > Self.tokenLimit {
            tokens.removeAll(keepingCapacity: true)
            for index in entries.indices { entries[index] = Entry() }
        }
        entries[key.slot] = Entry(
            low: key.low, high: key.high, start: Int32(tokens.count), count: Int32(word.count))
        tokens.append(contentsOf: word)
    }
}
