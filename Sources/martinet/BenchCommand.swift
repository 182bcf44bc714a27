import ArgumentParser
import Foundation
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetTokenizers

/// `martinet bench`: how fast the engine runs a model on this machine.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure prefill, decode, batched decode, time to first token, start-up and memory.",
        discussion: """
            The engine alone is measured, without HTTP, on random prompts and with prefix reuse off. Each figure is the
            median of the repetitions. On a shared machine compare figures of one run, by ratio.
            """)

    @Argument(help: "A model in the store, or the path of one.")
    var model: String

    @Option(help: "Repetitions of each measurement.")
    var repetitions = 3

    @Option(help: "Tokens in the prompt of the prefill measurement.")
    var prefill = 512

    @Option(help: "Tokens that each stream generates.")
    var decode = 128

    @Option(help: "Streams of the batched measurement.")
    var streams = 16

    @Option(help: "Compute threads; all cores by default.")
    var threads: Int?

    @Option(help: "Most tokens in a step; the server's default where not given.")
    var maxNumBatchedTokens: Int?

    @Option(help: "auto, float16, bfloat16 or float32.")
    var dtype: String = "auto"

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        for (name, value) in [
            ("repetitions", repetitions), ("prefill", prefill), ("decode", decode), ("streams", streams),
        ] where !(1...65536).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 65536, but is \(value).")
        }
        guard decode >= 2 else { throw ValidationError("--decode must be at least 2: rates are between tokens.") }
        guard DType(rawValue: dtype) != nil else {
            throw ValidationError("--dtype must be auto, float16, bfloat16 or float32, but is \(dtype).")
        }
    }

    func run() async throws {
        let clock = ContinuousClock()
        let path = try ModelStore().resolve(model)
        let begin = clock.now
        let loaded = try LoadedModel.load(path: path)
        var options = EngineOptions()
        options.enablePrefixCaching = false
        options.maxNumSeqs = max(16, streams)
        options.threads = threads
        options.maxNumBatchedTokens = maxNumBatchedTokens
        options.dtype = DType(rawValue: dtype) ?? .auto
        let engine = try InferenceEngine(model: loaded, options: options)
        var bench = Bench(engine: engine, vocabulary: loaded.tokenizer.vocabularySize)
        let needed = max(prefill + 1, 128 + decode)
        guard needed <= engine.maxModelLength else {
            throw ValidationError("These lengths need \(needed) tokens, but the model takes \(engine.maxModelLength).")
        }
        // Ready means that an answer can come: the first step maps the weights.
        _ = try await bench.run(prompt: 1, output: 1)
        var report = BenchReport(model: loaded.name, threads: threads)
        report.startToReadySeconds = (clock.now - begin) / .seconds(1)
        _ = try await bench.run(prompt: 64, output: 16)

        var prefillRates: [Double] = []
        var decodeRates: [Double] = []
        var batchRates: [Double] = []
        var firstTokens: [Double] = []
        for _ in 0..<repetitions {
            let prompt = try await bench.run(prompt: prefill, output: 1)
            prefillRates.append(Double(prefill) / prompt.firstToken)
            let alone = try await bench.run(prompt: 128, output: decode)
            firstTokens.append(alone.firstToken)
            decodeRates.append(Double(decode - 1) / (alone.lastToken - alone.firstToken))
            batchRates.append(try await bench.batch(streams: streams, prompt: 16, output: decode))
        }
        report.prefillTokensPerSecond = median(prefillRates)
        report.decodeTokensPerSecond = median(decodeRates)
        report.batchTokensPerSecond = median(batchRates)
        report.firstTokenMilliseconds = median(firstTokens) * 1000
        report.peakMemoryBytes = Self.peakMemory()
        await engine.shutdown(deadline: .seconds(1))
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            report.show(prefill: prefill, decode: decode, streams: streams)
        }
    }

    private func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The most memory that this process held, in bytes, as the kernel counted it.
    private static func peakMemory() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}

/// Runs requests of random tokens.
private struct Bench {
    let engine: InferenceEngine
    let vocabulary: Int
    private var random = SystemRandomNumberGenerator()

    init(engine: InferenceEngine, vocabulary: Int) {
        self.engine = engine
        self.vocabulary = vocabulary
    }

    /// Seconds from submission to the first and the last token.
    struct Times {
        var firstToken: Double
        var lastToken: Double
    }

    private mutating func request(prompt: Int, output: Int) -> InferenceRequest {
        var sampling = SamplingParameters.greedy
        sampling.maxTokens = output
        sampling.ignoreEndOfText = true
        let tokens = (0..<prompt).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
        return InferenceRequest(id: "bench", prompt: tokens, sampling: sampling)
    }

    mutating func run(prompt: Int, output: Int) async throws -> Times {
        try await Self.measure(engine, request(prompt: prompt, output: output))
    }

    private static func measure(_ engine: InferenceEngine, _ request: InferenceRequest) async throws -> Times {
        let begin = ContinuousClock.now
        var first: Double?
        var last = 0.0
        for try await events in try engine.generate(request) {
            for case .output(let delta) in events where !delta.tokens.isEmpty {
                last = (ContinuousClock.now - begin) / .seconds(1)
                if first == nil { first = last }
            }
        }
        return Times(firstToken: first ?? last, lastToken: last)
    }

    /// Output tokens a second of several streams together, from the first submission to the last token.
    mutating func batch(streams: Int, prompt: Int, output: Int) async throws -> Double {
        let requests = (0..<streams).map { _ in request(prompt: prompt, output: output) }
        let engine = self.engine
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for request in requests { group.addTask { _ = try await Self.measure(engine, request) } }
            try await group.waitForAll()
        }
        return Double(streams * output) / ((ContinuousClock.now - begin) / .seconds(1))
    }
}

/// What a benchmark found.
private struct BenchReport: Codable {
    var model: String
    var threads: Int?
    var prefillTokensPerSecond = 0.0
    var decodeTokensPerSecond = 0.0
    var batchTokensPerSecond = 0.0
    var firstTokenMilliseconds = 0.0
    var startToReadySeconds = 0.0
    var peakMemoryBytes = 0

    init(model: String, threads: Int?) {
        self.model = model
        self.threads = threads
    }

    func show(prefill: Int, decode: Int, streams: Int) {
        func row(_ name: String, _ value: Double, _ unit: String) {
            let padded = name.padding(toLength: 44, withPad: " ", startingAt: 0)
            print(padded + String(format: "%10.1f ", value) + unit)
        }
        print(model)
        row("prefill of \(prefill)", prefillTokensPerSecond, "tokens/s")
        row("decode of \(decode), one stream", decodeTokensPerSecond, "tokens/s")
        row("\(streams) streams at once, \(decode) tokens each", batchTokensPerSecond, "tokens/s")
        row("time to first token, prompt of 128", firstTokenMilliseconds, "ms")
        row("start to ready", startToReadySeconds * 1000, "ms")
        row("peak memory", Double(peakMemoryBytes) / 1_048_576, "MiB")
    }
}
