/// Exact figures of a set of samples.
///
/// Every sample is kept: a benchmark has thousands, not millions, and a histogram would round them.
public struct SampleSummary: Sendable, Hashable {
    private let sorted: [Double]
    /// The arithmetic mean; `nan` without samples.
    public let mean: Double
    /// The standard deviation of the samples themselves (not an estimate for a larger population); `nan` without any.
    public let standardDeviation: Double

    /// Sums up samples in any order; those that are not finite are left out.
    public init(_ samples: [Double]) {
        sorted = samples.filter(\.isFinite).sorted()
        let count = Double(sorted.count)
        let mean = sorted.reduce(0, +) / count
        self.mean = mean
        standardDeviation = (sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    }

    /// How many samples there are.
    public var count: Int { sorted.count }
    /// The smallest; `nan` without samples.
    public var minimum: Double { sorted.first ?? .nan }
    /// The largest; `nan` without samples.
    public var maximum: Double { sorted.last ?? .nan }
    /// The 50th percentile; `nan` without samples.
    public var median: Double { percentile(50) }

    /// The value below which `share` percent (0...100) of the samples lie, interpolated linearly between the two nearest,
    /// as NumPy and vLLM's benchmark do; `nan` without samples.
    public func percentile(_ share: Double) -> Double {
        guard let last = sorted.last else { return .nan }
        let position = min(max(share, 0), 100) / 100 * Double(sorted.count - 1)
        let below = Int(position)
        guard below + 1 < sorted.count else { return last }
        return sorted[below] + (sorted[below + 1] - sorted[below]) * (position - Double(below))
    }
}
