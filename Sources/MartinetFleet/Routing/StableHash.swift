/// A 64-bit hash that is the same in every process: the standard library's is seeded anew at each start.
///
/// FNV-1a over 64-bit words, finished by the mixer of SplitMix64. Not for anything where an adversary gains by collisions.
struct StableHash {
    private var state: UInt64

    init(seed: UInt64 = 0) { state = 0xcbf2_9ce4_8422_2325 ^ (seed &* 0x9e37_79b9_7f4a_7c15) }

    mutating func add(_ word: UInt64) { state = (state ^ word) &* 0x100_0000_01b3 }

    mutating func add(_ text: String) {
        for byte in text.utf8 { add(UInt64(byte)) }
        // Keeps "a", "bc" and "ab", "c" apart.
        add(0x1_00)
    }

    /// The hash of what was added so far.
    var value: UInt64 {
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
