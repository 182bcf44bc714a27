#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The angular frequencies of rotary position embedding, with their scaling applied.
package struct RotaryFrequencies: Sendable, Hashable {
    /// Radians per position, `rotarySize / 2` of them.
    package let values: [Double]

    /// Computes the frequencies `theta^(-2i / rotarySize)` and scales them.
    ///
    /// Sources: Su et al., *RoFormer*, 2021; for Llama 3.1's scaling, Meta's reference code.
    package init(_ rope: RopeConfiguration) {
        let half = rope.rotarySize / 2
        let base = (0..<half).map { pow(rope.theta, -2 * Double($0) / Double(rope.rotarySize)) }
        switch rope.scaling {
        case .none:
            values = base
        case .linear(let factor):
            values = base.map { $0 / factor }
        case .divisors(let divisors):
            values = base.indices.map { base[$0] / Double($0 < divisors.count ? divisors[$0] : 1) }
        case .llama3(let factor, let low, let high, let originalContext):
            let context = Double(originalContext)
            values = base.map { frequency in
                let wavelength = 2 * Double.pi / frequency
                if wavelength < context / high { return frequency }
                if wavelength > context / low { return frequency / factor }
                let smooth = (context / wavelength - low) / (high - low)
                return (1 - smooth) * frequency / factor + smooth * frequency
            }
        }
    }

    /// Writes cosines and sines of a position's angles, `values.count` each.
    package func write(position: Int, cos cosines: UnsafeMutablePointer<Float>, sin sines: UnsafeMutablePointer<Float>)
    {
        for (i, frequency) in values.enumerated() {
            let angle = Double(position) * frequency
            cosines[i] = Float(cos(angle))
            sines[i] = Float(sin(angle))
        }
    }
}
