import ArgumentParser
import Foundation
import MartinetBenchmarks
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetTokenizers
import MartinetWorkerProtocol

/// `martinet bench worker`: what it costs that the engine runs in another process.
struct WorkerBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Compare an engine of this process with one in a worker, over a Unix socket.",
        discussion: """
            Both are measured in turns, so that both see the same machine. Throughput is compared round by round, latency \
            by the medians.
            """)

    @Argument(help: "A model in the store, or the path of one.")
    var model: String

    @Option(help: "Rounds of the throughput measurement.")
    var repetitions = 7

    @Option(help: "Streams at once.")
    var streams = 16

    @Option(help: "Tokens that each stream generates.")
    var decode = 128

    @Option(help: "Requests of one token, for the time to the first token.")
    var requests = 100

    @Option(help: "Compute threads of each engine; all cores by default.")
    var threads: Int?

    @OptionGroup(title: "Report") var report: ReportOptions

    func validate() throws {
        for (name, value, range) in [
            ("repetitions", repetitions, 1...1000), ("streams", streams, 1...256), ("decode", decode, 2...4096),
            ("requests", requests, 1...100_000),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) must be from \(range.lowerBound) to \(range.upperBound), but is \(value).")
        }
    }

    func run() async throws {
        let path = try ModelStore().resolve(model)
        let loaded = try LoadedModel.load(path: path)
        var options = EngineOptions()
        options.enablePrefixCaching = false
        options.speculation = .off
        options.threads = threads
        let here = try InferenceEngine(model: loaded, options: options)

        let process = try WorkerProcess(model: path, threads: threads)
        defer { process.end() }
        let client = try await process.connect()
        let there = InferenceEngine(model: try await client.textModel(), engine: client)

        let vocabulary = loaded.tokenizer.vocabularySize
        var inProcess = EngineBench(engine: here, vocabulary: vocabulary, seed: 0)
        var throughWorker = EngineBench(engine: there, vocabulary: vocabulary, seed: 0)
        for _ in 0..<3 {
            _ = try await inProcess.run(prompt: 64, output: 16)
            _ = try await throughWorker.run(prompt: 64, output: 16)
        }
        var figures = WorkerFigures(streams: streams)
        for round in 0..<repetitions {
            // The second of a pair may find the machine warmer, so they change places.
            if round % 2 == 0 {
                figures.inProcess.rates.append(try await rate(&inProcess))
                figures.throughWorker.rates.append(try await rate(&throughWorker))
            } else {
                figures.throughWorker.rates.append(try await rate(&throughWorker))
                figures.inProcess.rates.append(try await rate(&inProcess))
            }
        }
        for _ in 0..<requests {
            figures.inProcess.firstTokens.append(try await inProcess.run(prompt: 16, output: 1).first)
            figures.throughWorker.firstTokens.append(try await throughWorker.run(prompt: 16, output: 1).first)
        }
        await client.shutdown(deadline: .seconds(1))
        await here.shutdown(deadline: .seconds(1))
        try report.write(figures.json, table: figures.table)
    }

    private func rate(_ bench: inout EngineBench) async throws -> Double {
        try await bench.batch(streams: streams, prompt: 16, output: decode)
    }
}

/// What the comparison found.
struct WorkerFigures {
    struct Side {
        /// Tokens a second, by round.
        var rates: [Double] = []
        /// Seconds.
        var firstTokens: [Double] = []
    }

    var streams: Int
    var inProcess = Side()
    var throughWorker = Side()

    /// What share of the throughput the boundary takes, in percent.
    private var lost: Double {
        SampleSummary(zip(inProcess.rates, throughWorker.rates).map { (1 - $1 / $0) * 100 }).median
    }

    /// What the boundary adds to the time to the first token, in milliseconds.
    private var added: Double {
        (SampleSummary(throughWorker.firstTokens).median - SampleSummary(inProcess.firstTokens).median) * 1000
    }

    var json: [String: ReportValue] {
        func side(_ side: Side) -> ReportValue {
            .object([
                "tokens_per_second": .double(SampleSummary(side.rates).median),
                "time_to_first_token_ms": .double(SampleSummary(side.firstTokens).median * 1000),
            ])
        }
        return [
            "streams": .int(streams), "in_process": side(inProcess), "worker": side(throughWorker),
            "throughput_lost_percent": .double(lost), "first_token_added_ms": .double(added),
        ]
    }

    var table: String {
        func line(_ name: String, _ side: Side) -> String {
            name.padding(toLength: 14, withPad: " ", startingAt: 0)
                + String(
                    format: "%8.0f tokens/s at %d streams, first token after %.3f ms", SampleSummary(side.rates).median,
                    streams, SampleSummary(side.firstTokens).median * 1000)
        }
        return [
            line("in process", inProcess), line("worker", throughWorker),
            String(format: "The boundary takes %.2f %% of the throughput and adds %.3f ms.", lost, added),
        ].joined(separator: "\n")
    }
}

/// A worker that this process started, and that ends with it.
private struct WorkerProcess {
    private let process = Process()
    private let lifeline = Pipe()
    private let socket: String

    init(model: String, threads: Int?) throws {
        socket =
            FileManager.default.temporaryDirectory.path
            + "/martinet-bench-\(ProcessInfo.processInfo.processIdentifier).sock"
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments =
            ["worker", model, "--socket", socket, "--exit-with-stdin", "--log-level", "warning"]
            + ["--no-enable-prefix-caching", "--speculation", "off"] + (threads.map { ["--threads", "\($0)"] } ?? [])
        process.standardInput = lifeline
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    func connect() async throws -> WorkerClient {
        while true {
            do {
                return try await WorkerClient.connect(to: .unix(path: socket))
            } catch {
                guard process.isRunning else { throw CommandFailure("The worker did not start.") }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    func end() {
        try? lifeline.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
