import ArgumentParser
import Foundation
import MartinetBenchmarks
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetTokenizers

/// `martinet bench engine`: how fast the engine runs a model on this machine.
struct EngineBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Measure prefill, decode, batches, latencies, start-up and memory of the engine alone.",
        discussion: """
            There is no HTTP in it. Prompts are random tokens, prefixes are not reused, tokens are chosen greedily. Each \
            figure is the median of the repetitions; inter-token latencies are of all repetitions together.
            """)

    @Argument(help: "A model in the store, or the path of one.")
    var model: String

    @Option(help: "Repetitions of each measurement.")
    var repetitions = 3

    @Option(help: "Tokens in the prompts of the prefill measurement, and of those that arrive during a decode.")
    var prefill = 512

    @Option(help: "Tokens that each stream generates.")
    var decode = 128

    @Option(help: "Numbers of streams to run at once, such as 1,4,16,64; 0 for none.")
    var streams = "1,4,16,64"

    @Flag(inversion: .prefixedNo, help: "Measure the latencies of a decode while prompts arrive.")
    var arrivals = true

    @Flag(help: "Measure the batches with outputs held to a JSON schema too, in turns.")
    var constrained = false

    @Option(help: "Compute threads; all cores by default.")
    var threads: Int?

    @Option(help: "Most tokens in a step; the server's default where not given.")
    var maxNumBatchedTokens: Int?

    @Option(help: "How many times longer a step may take for prompts beside streams; inf for no bound.")
    var maxStepStretch = EngineOptions().maxStepStretch

    @Flag(help: "Guess tokens ahead, which figures of random prompts say little about.")
    var speculation = false

    @Option(help: "auto, float16, bfloat16 or float32.")
    var dtype: String = "auto"

    @Option(help: "The kernels' instruction set: auto, scalar, avx2, avx2-vnni, avx512, …")
    var instructionSet: String?

    @Option(help: "Fixes the random prompts.")
    var seed = 0

    @OptionGroup(title: "Report") var report: ReportOptions

    private func streamCounts() throws -> [Int] {
        let counts = streams.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? -1 }
        guard counts.allSatisfy({ (0...4096).contains($0) }) else {
            throw ValidationError("--streams must be numbers from 0 to 4096 such as 1,4,16, but is \(streams).")
        }
        return counts.filter { $0 > 0 }
    }

    func validate() throws {
        for (name, value) in [("repetitions", repetitions), ("prefill", prefill), ("decode", decode)]
        where !(1...65536).contains(value) {
            throw ValidationError("--\(name) must be from 1 to 65536, but is \(value).")
        }
        guard decode >= 2 else { throw ValidationError("--decode must be at least 2: rates are between tokens.") }
        guard DType(rawValue: dtype) != nil else {
            throw ValidationError("--dtype must be auto, float16, bfloat16 or float32, but is \(dtype).")
        }
        _ = try streamCounts()
    }

    func run() async throws {
        let clock = ContinuousClock()
        let counts = try streamCounts()
        let path = try ModelStore().resolve(model)
        let begin = clock.now
        let loaded = try LoadedModel.load(path: path)
        var options = EngineOptions()
        options.enablePrefixCaching = false
        options.maxNumSeqs = max(16, counts.max() ?? 0)
        options.threads = threads
        options.maxNumBatchedTokens = maxNumBatchedTokens
        options.maxStepStretch = maxStepStretch
        if !speculation { options.speculation = .off }
        options.dtype = DType(rawValue: dtype) ?? .auto
        let settings = Settings()
        options.instructionSet = try settings.text("instruction-set", instructionSet).flatMap(settings.instructionSet)
        let engine = try InferenceEngine(model: loaded, options: options)
        let needed = max(prefill + 1, EngineBench.promptLength + decode)
        guard needed <= engine.maxModelLength else {
            throw ValidationError("These lengths need \(needed) tokens, but the model takes \(engine.maxModelLength).")
        }
        var bench = EngineBench(
            engine: engine, vocabulary: loaded.tokenizer.vocabularySize, seed: UInt64(bitPattern: Int64(seed)))
        // Ready means that an answer can come: the first step maps the weights.
        _ = try await bench.run(prompt: 1, output: 1)
        let startToReady = (clock.now - begin) / .seconds(1)
        _ = try await bench.run(prompt: 64, output: 16)
        // The first constrained request compiles the grammar and makes its masks.
        if constrained {
            _ = try await bench.batch(streams: 4, prompt: 16, output: decode, grammar: EngineBench.records)
        }

        var figures = EngineFigures(model: loaded.name, threads: threads, prefill: prefill, decode: decode)
        figures.startToReady = startToReady
        for _ in 0..<repetitions {
            let prompt = try await bench.run(prompt: prefill, output: 1)
            figures.prefillRates.append(Double(prefill) / prompt.first)
            let alone = try await bench.run(prompt: EngineBench.promptLength, output: decode)
            figures.firstTokens.append(alone.first * 1000)
            figures.decodeRates.append(Double(decode - 1) / (alone.last - alone.first))
            figures.gapsAlone += alone.gaps
            for count in counts {
                figures.batchRates[count, default: []].append(
                    try await bench.batch(streams: count, prompt: 16, output: decode))
                guard constrained else { continue }
                figures.constrainedRates[count, default: []].append(
                    try await bench.batch(streams: count, prompt: 16, output: decode, grammar: EngineBench.records))
            }
            if arrivals {
                figures.gapsWithArrivals += try await bench.decodeAmidArrivals(arriving: prefill, output: decode).gaps
            }
        }
        figures.peakMemory = Self.peakMemory()
        await engine.shutdown(deadline: .seconds(1))
        try report.write(figures.json, table: figures.table)
    }

    /// The most memory that this process held, in bytes, as the kernel counted it.
    private static func peakMemory() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}
