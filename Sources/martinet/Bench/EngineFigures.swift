import MartinetBenchmarks

/// What a benchmark of the engine found.
struct EngineFigures {
    var model: String
    var threads: Int?
    var prefill: Int
    var decode: Int
    var prefillRates: [Double] = []
    var decodeRates: [Double] = []
    /// Tokens a second by the number of streams.
    var batchRates: [Int: [Double]] = [:]
    /// The same, with outputs held to a grammar.
    var constrainedRates: [Int: [Double]] = [:]
    /// Milliseconds.
    var firstTokens: [Double] = []
    /// Seconds between tokens of a stream that has the engine for itself.
    var gapsAlone: [Double] = []
    /// Seconds between tokens of a stream while prompts arrive.
    var gapsWithArrivals: [Double] = []
    var startToReady = 0.0
    var peakMemory = 0

    init(model: String, threads: Int?, prefill: Int, decode: Int) {
        self.model = model
        self.threads = threads
        self.prefill = prefill
        self.decode = decode
    }

    private static let percentiles = [50, 90, 99]

    private var latencies: [(name: String, title: String, summary: SampleSummary)] {
        [
            ("inter_token_latency_ms", "inter-token latency, alone", gapsAlone),
            (
                "inter_token_latency_with_arrivals_ms", "inter-token latency, prompts of \(prefill) arriving",
                gapsWithArrivals
            ),
        ].map { ($0, $1, SampleSummary($2.map { $0 * 1000 })) }
    }

    /// The 99th percentile of the inter-token latency with arrivals, by that without.
    private var ratio: Double {
        SampleSummary(gapsWithArrivals).percentile(99) / SampleSummary(gapsAlone).percentile(99)
    }

    var json: [String: ReportValue] {
        var json: [String: ReportValue] = [
            "model": .string(model),
            "threads": threads.map { .int($0) } ?? .null,
            "repetitions": .int(prefillRates.count),
            "prefill_tokens": .int(prefill),
            "decode_tokens": .int(decode),
            "prefill_tokens_per_second": Figure(prefillRates).json,
            "decode_tokens_per_second": Figure(decodeRates).json,
            "batch_tokens_per_second": .object(
                Dictionary(uniqueKeysWithValues: batchRates.map { ("\($0)", Figure($1).json) })),
            "first_token_ms": Figure(firstTokens).json,
            "start_to_ready_seconds": .double(startToReady),
            "peak_memory_bytes": .int(peakMemory),
        ]
        if !constrainedRates.isEmpty {
            json["constrained_batch_tokens_per_second"] = .object(
                Dictionary(uniqueKeysWithValues: constrainedRates.map { ("\($0)", Figure($1).json) }))
        }
        for (name, _, summary) in latencies where summary.count > 0 {
            json[name] = .object(
                Dictionary(
                    uniqueKeysWithValues: Self.percentiles.map { ("p\($0)", .double(summary.percentile(Double($0)))) }))
        }
        if !gapsWithArrivals.isEmpty { json["p99_inter_token_latency_ratio"] = .double(ratio) }
        return json
    }

    var table: String {
        var rows = [["", "median", "min", "max", ""]]
        func add(_ title: String, _ values: [Double], _ unit: String) {
            rows.append([title] + Figure(values).cells + [unit])
        }
        add("prefill of \(prefill)", prefillRates, "tokens/s")
        add("decode of \(decode), one stream", decodeRates, "tokens/s")
        for (count, rates) in batchRates.sorted(by: { $0.key < $1.key }) {
            add("\(count) at once, \(decode) tokens each", rates, "tokens/s")
            if let rates = constrainedRates[count] { add("\(count) at once, held to a schema", rates, "tokens/s") }
        }
        add("time to first token, prompt of \(EngineBench.promptLength)", firstTokens, "ms")
        var lines = [[""] + Self.percentiles.map { "p\($0)" } + [""]]
        for (_, title, summary) in latencies where summary.count > 0 {
            lines.append([title] + Self.percentiles.map { Figure.text(summary.percentile(Double($0))) } + ["ms"])
        }
        var last = [
            "start to ready: \(Figure.text(startToReady * 1000)) ms",
            "peak memory: \(Figure.text(Double(peakMemory) / 1_048_576)) MiB",
        ]
        if !gapsWithArrivals.isEmpty { last.insert("p99 with arrivals by p99 alone: \(Figure.text(ratio))", at: 0) }
        return ([model, ByteText.table(rows), "", ByteText.table(lines), ""] + last).joined(separator: "\n")
    }
}
