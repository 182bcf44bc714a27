/// The latencies below which a request counts as good.
public struct LatencyObjectives: Sendable, Hashable {
    /// Which latency.
    public enum Metric: String, Sendable, Hashable, CaseIterable {
        /// Time to first token.
        case ttft
        /// Time per output token after the first.
        case tpot
        /// From sending the request to its last token.
        case e2el
    }

    /// Milliseconds by metric.
    public private(set) var milliseconds: [Metric: Double] = [:]

    /// Reads `ttft:500,tpot:50,e2el:10000`, in any order, each in milliseconds.
    ///
    /// - Throws: ``BenchmarkError`` for other metrics, repeated ones, and numbers that are not above 0.
    public init(parsing text: String) throws(BenchmarkError) {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: ":", omittingEmptySubsequences: false)
            guard pair.count == 2, let metric = Metric(rawValue: String(pair[0])), milliseconds[metric] == nil,
                let value = Double(String(pair[1])), value > 0, value.isFinite
            else {
                throw BenchmarkError(
                    "--goodput must be like ttft:500,tpot:50,e2el:10000 (milliseconds, each once), but is \(text).")
            }
            milliseconds[metric] = value
        }
    }

    /// Whether a request was answered within every objective.
    ///
    /// An answer of one token has no time per output token, and meets any objective for it.
    public func areMet(by record: RequestRecord) -> Bool {
        guard record.failure == nil else { return false }
        return milliseconds.allSatisfy { metric, limit in
            switch metric {
            case .ttft: record.firstText * 1000 <= limit
            case .tpot: (record.timePerOutputToken ?? 0) * 1000 <= limit
            case .e2el: record.lastText * 1000 <= limit
            }
        }
    }
}
