/// Random numbers that a seed fixes, the same on every machine: SplitMix64 (Steele, Lea and Flood 2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts at a seed; `stream` keeps the sequences of one seed apart.
    public init(seed: UInt64, stream: UInt64 = 0) {
        state = seed
        state = next() ^ stream
        state = next()
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// A number above 0 and at most 1.
    mutating func unit() -> Double { (Double(next() >> 11) + 1) * 0x1p-53 }
}
