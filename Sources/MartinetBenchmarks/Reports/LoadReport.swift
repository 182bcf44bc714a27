/// The figures of a run against a server, under the names that vLLM's `bench serve` gives them.
public struct LoadReport: Sendable {
    /// Every request of the run.
    public let records: [RequestRecord]
    /// Seconds from the first request to the end of the last.
    public let duration: Double
    /// What counts as good, where anything is asked.
    public let objectives: LatencyObjectives?
    /// The percentiles that are reported beside mean and median.
    static let percentiles = [90, 95, 99]

    private let completed: [RequestRecord]

    /// Sums up a run.
    public init(records: [RequestRecord], duration: Double, objectives: LatencyObjectives? = nil) {
        self.records = records
        self.duration = duration
        self.objectives = objectives
        completed = records.filter { $0.failure == nil }
    }

    /// Requests that were answered whole.
    public var completedCount: Int { completed.count }
    /// Requests that were not.
    public var failedCount: Int { records.count - completed.count }
    /// How many failed, by kind.
    public var failures: [String: Int] {
        Dictionary(records.compactMap { $0.failure.map { ($0.kind, 1) } }, uniquingKeysWith: +)
    }
    /// Tokens in the prompts of answered requests; 0 for those that the server did not count.
    public var inputTokens: Int { completed.reduce(0) { $0 + ($1.promptTokens ?? 0) } }
    /// Tokens in the answers.
    public var outputTokens: Int { completed.reduce(0) { $0 + $1.outputTokens } }
    /// Requests answered within the objectives; `nil` without objectives.
    public var goodCount: Int? {
        objectives.map { objectives in completed.count { objectives.areMet(by: $0) } }
    }
    /// Whether every answer's tokens were counted by the server; chunks may hold several.
    public var isCountedByServer: Bool { completed.allSatisfy { $0.completionTokens != nil } }

    /// The latencies in milliseconds, by the name of their metric.
    public var latencies: [(name: String, title: String, summary: SampleSummary)] {
        func summary(_ seconds: some Sequence<Double>) -> SampleSummary { SampleSummary(seconds.map { $0 * 1000 }) }
        return [
            ("ttft", "time to first token", summary(completed.map(\.firstText))),
            ("tpot", "time per output token", summary(completed.compactMap(\.timePerOutputToken))),
            ("itl", "inter-token latency", summary(completed.lazy.flatMap(\.gaps))),
            ("e2el", "end to end", summary(completed.map(\.lastText))),
        ]
    }

    /// Everything as JSON has it.
    public var json: [String: ReportValue] {
        var json: [String: ReportValue] = [
            "duration": .double(duration),
            "num_prompts": .int(records.count),
            "completed": .int(completedCount),
            "failed": .int(failedCount),
            "failures": .object(failures.mapValues { .int($0) }),
            "total_input_tokens": .int(inputTokens),
            "total_output_tokens": .int(outputTokens),
            "output_tokens_counted_by": .string(isCountedByServer ? "server" : "chunks"),
            "request_throughput": .double(perSecond(completedCount)),
            "request_goodput": goodCount.map { .double(perSecond($0)) } ?? .null,
            "output_throughput": .double(perSecond(outputTokens)),
            "total_token_throughput": .double(perSecond(inputTokens + outputTokens)),
            "p99_send_delay_ms": .double(SampleSummary(records.map { $0.delay * 1000 }).percentile(99)),
        ]
        if let objectives {
            json["goodput_objectives_ms"] = .object(
                Dictionary(uniqueKeysWithValues: objectives.milliseconds.map { ($0.rawValue, .double($1)) }))
        }
        for (name, _, summary) in latencies {
            json["mean_\(name)_ms"] = .double(summary.mean)
            json["median_\(name)_ms"] = .double(summary.median)
            json["std_\(name)_ms"] = .double(summary.standardDeviation)
            for share in Self.percentiles { json["p\(share)_\(name)_ms"] = .double(summary.percentile(Double(share))) }
        }
        return json
    }

    /// The rows of a table for people: a title and what stands beside it.
    public var rows: [[String]] {
        var rows = [
            ["requests completed", "\(completedCount) of \(records.count)"],
            ["duration", Figure.text(duration) + " s"],
            ["tokens in, out", "\(inputTokens), \(outputTokens)" + (isCountedByServer ? "" : " (chunks counted)")],
            ["requests", Figure.text(perSecond(completedCount)) + " /s"],
            ["output tokens", Figure.text(perSecond(outputTokens)) + " /s"],
            ["all tokens", Figure.text(perSecond(inputTokens + outputTokens)) + " /s"],
        ]
        if let goodCount {
            rows.append(["goodput", Figure.text(perSecond(goodCount)) + " /s (\(goodCount) of \(records.count))"])
        }
        for (kind, count) in failures.sorted(by: { $0.key < $1.key }) {
            let example = records.lazy.compactMap(\.failure).first { $0.kind == kind }?.message ?? ""
            rows.append(["failed: \(kind)", "\(count)" + (example.isEmpty ? "" : " (\(example))")])
        }
        return rows
    }

    /// The latencies as a table for people, in milliseconds, with a heading.
    public var latencyRows: [[String]] {
        let heading = ["ms", "mean", "median"] + Self.percentiles.map { "p\($0)" }
        return [heading]
            + latencies.map { _, title, summary in
                [title, Figure.text(summary.mean), Figure.text(summary.median)]
                    + Self.percentiles.map { Figure.text(summary.percentile(Double($0))) }
            }
    }

    private func perSecond(_ count: Int) -> Double { duration > 0 ? Double(count) / duration : 0 }
}
