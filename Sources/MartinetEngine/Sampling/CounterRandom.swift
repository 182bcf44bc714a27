/// Counter-based random numbers: Philox 4x32 with ten rounds (Salmon et al., "Parallel Random Numbers: As Easy as
/// 1, 2, 3", SC 2011).
///
/// A number depends on its seed and its place only, so a request's choices are the same whatever else the engine does,
/// and a continuation elsewhere draws the numbers that would have come.
package struct CounterRandom: Sendable {
    private let key: (UInt32, UInt32)

    /// Makes the stream of a seed.
    package init(seed: UInt64) {
        key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    }

    /// Four random words for a place.
    package func words(_ position: UInt64, _ stream: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
        var c = (
            UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
            UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
        )
        var (k0, k1) = key
        for _ in 0..<10 {
            let a = c.0.multipliedFullWidth(by: 0xD251_1F53)
            let b = c.2.multipliedFullWidth(by: 0xCD9E_8D57)
            c = (b.high ^ c.1 ^ k0, b.low, a.high ^ c.3 ^ k1, a.low)
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return c
    }

    /// A random 64-bit number for a place.
    package func integer(_ position: UInt64, _ stream: UInt64) -> UInt64 {
        let w = words(position, stream)
        return UInt64(w.1) << 32 | UInt64(w.0)
    }

    /// A number in 0..<1 for a place.
    package func uniform(_ position: UInt64, _ stream: UInt64) -> Double {
        Double(integer(position, stream) >> 11) * 0x1p-53
    }
}
