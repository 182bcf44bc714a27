internal import Foundation

/// When requests come.
public enum ArrivalPattern: Sendable, Hashable, CustomStringConvertible {
    /// All at once; where their number is limited, each as another ends.
    case immediate
    /// At equal distances, so many a second.
    case constant(perSecond: Double)
    /// Independently of each other, so many a second in the mean.
    case poisson(perSecond: Double)

    /// Reads `inf`, `constant:R`, `poisson:R` (a bare number means `poisson`), or `sweep:FROM..TO..STEP`: one Poisson
    /// pattern for each rate.
    ///
    /// - Throws: ``BenchmarkError`` for anything else, rates outside 0.001...100000, or sweeps of over 100 rates.
    public static func parse(_ text: String) throws(BenchmarkError) -> [ArrivalPattern] {
        if text == "inf" { return [.immediate] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        switch (parts.first, parts.count) {
        case ("constant", 2): return [.constant(perSecond: try rate(parts[1], in: text))]
        case ("poisson", 2): return [.poisson(perSecond: try rate(parts[1], in: text))]
        case ("sweep", 2):
            let bounds = parts[1].components(separatedBy: "..")
            guard bounds.count == 3 else { throw unreadable(text) }
            let from = try rate(bounds[0], in: text)
            let to = try rate(bounds[1], in: text)
            let step = try rate(bounds[2], in: text)
            // Counted in steps, so that rounding neither adds nor loses the last rate.
            let steps = ((to - from) / step + 1e-9).rounded(.down)
            guard steps >= 0, steps < 100 else {
                throw BenchmarkError("--rate \(text) must go upwards in at most 100 rates.")
            }
            return (0...Int(steps)).map { .poisson(perSecond: from + Double($0) * step) }
        case (_, 1): return [.poisson(perSecond: try rate(text, in: text))]
        default: throw unreadable(text)
        }
    }

    private static func rate(_ text: String, in whole: String) throws(BenchmarkError) -> Double {
        guard let value = Double(text), (0.001...100_000).contains(value) else { throw unreadable(whole) }
        return value
    }

    private static func unreadable(_ text: String) -> BenchmarkError {
        BenchmarkError(
            """
            --rate must be inf, constant:R, poisson:R or sweep:FROM..TO..STEP with rates from 0.001 to 100000 a second, \
            but is \(text).
            """)
    }

    /// Requests a second in the mean.
    public var perSecond: Double {
        switch self {
        case .immediate: .infinity
        case .constant(let rate), .poisson(let rate): rate
        }
    }

    /// As ``parse(_:)`` reads it.
    public var description: String {
        switch self {
        case .immediate: "inf"
        case .constant(let rate): "constant:\(rate)"
        case .poisson(let rate): "poisson:\(rate)"
        }
    }

    /// The times of arrival in seconds from the start, without end; a seed fixes them. The first is 0.
    public func times(seed: UInt64) -> some Sequence<Double> & Sendable { ArrivalTimes(pattern: self, seed: seed) }
}

private struct ArrivalTimes: Sequence, IteratorProtocol, Sendable {
    let pattern: ArrivalPattern
    private var random: SeededGenerator
    private var count = 0.0
    private var last = 0.0

    init(pattern: ArrivalPattern, seed: UInt64) {
        self.pattern = pattern
        random = SeededGenerator(seed: seed, stream: 1)
    }

    mutating func next() -> Double? {
        defer { count += 1 }
        switch pattern {
        case .immediate: return 0
        case .constant(let rate): return count / rate
        case .poisson(let rate):
            guard count > 0 else { return 0 }
            // The gaps of a Poisson process are distributed exponentially.
            last -= log(random.unit()) / rate
            return last
        }
    }
}
