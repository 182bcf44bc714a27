/// Pauses that grow twofold with each attempt, each drawn anew between nothing and the whole ("full jitter"), so that
/// those who failed together do not come back together.
package struct Backoff: Sendable, Hashable {
    /// The longest first pause.
    package var base: Duration
    /// The longest of all pauses.
    package var maximum: Duration

    /// A back-off of these bounds.
    package init(base: Duration = .milliseconds(50), maximum: Duration = .seconds(2)) {
        self.base = base
        self.maximum = maximum
    }

    /// The longest pause before an attempt.
    ///
    /// - Parameter attempt: 0 for the first retry; any number is taken.
    package func bound(attempt: Int) -> Duration {
        var bound = base
        for _ in 0..<min(max(attempt, 0), 64) {
            guard bound < maximum else { break }
            bound *= 2
        }
        return max(.zero, min(bound, maximum))
    }

    /// Draws the pause before an attempt.
    package func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        bound(attempt: attempt) * Double.random(in: 0...1, using: &generator)
    }
}

/// A small generator of random numbers whose seed decides all of them (SplitMix64: Steele, Lea, Flood 2014).
package struct JitterGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator that gives the same numbers for the same seed.
    package init(seed: UInt64) {
        state = seed
    }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
