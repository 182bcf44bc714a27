import ArgumentParser
import Foundation
import MartinetBenchmarks

/// `martinet bench serve`: how fast a server answers, whoever made it.
struct ServeBenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Measure any OpenAI-compatible server: latencies, throughput and goodput under a load.",
        discussion: """
            Requests are streamed. Without --rate they come all at once, or --concurrency of them at a time, each as \
            another ends. What goes wrong is counted by kind; the exit status is 1 where nothing went right. Where a \
            server refuses ignore_eos or stream_options, the warm-up finds out, and requests do without.
            """)

    @Option(help: "The server, such as http://127.0.0.1:8000 or https://host/v1.")
    var url: String

    @Option(help: "The model's name at the server.")
    var model: String

    @Option(help: "Which route: completions or chat.")
    var api = CompletionRoute.completions.rawValue

    @Option(help: "inf, constant:R, poisson:R (requests a second) or sweep:FROM..TO..STEP.")
    var rate = "inf"

    @Option(help: "Most requests under way at once; without it there is no bound.")
    var concurrency: Int?

    @Option(help: "Requests to send, at each rate of a sweep (100 where no --duration is given).")
    var requests: Int?

    @Option(help: "Seconds in which to send requests, at each rate of a sweep.")
    var duration: Double?

    @Option(help: "Random words in each prompt; about as many tokens.")
    var inputTokens = 128

    @Option(help: "Most tokens in each answer.")
    var outputTokens = 128

    @Option(help: ArgumentHelp("Take prompts from a file, in turn: lines of text or of JSON.", valueName: "file"))
    var prompts: String?

    @Flag(inversion: .prefixedNo, help: "Ask for answers of full length.")
    var ignoreEos = true

    @Option(help: "0 always takes the likeliest token.")
    var temperature = 0.0

    @Option(help: "Objectives in milliseconds, such as ttft:500,tpot:50,e2el:10000.")
    var goodput: String?

    @Option(help: "The environment variable that holds the server's key, where it is set.")
    var apiKeyEnv = "OPENAI_API_KEY"

    @Option(help: "Requests before the measurement, one after the other.")
    var warmup = 2

    @Option(help: "Seconds that a request may take.")
    var timeout = 600.0

    @Option(help: "Fixes prompts and times of arrival. Repeated on one server, it finds prompts in the prefix cache.")
    var seed = 0

    @OptionGroup(title: "Report") var report: ReportOptions

    private var route: CompletionRoute? { CompletionRoute(rawValue: api) }
    private static let mostRequests = 1_000_000

    func validate() throws {
        func check(_ holds: Bool, _ message: String) throws { if !holds { throw ValidationError(message) } }
        let patterns = try ArrivalPattern.parse(rate)
        if let goodput { _ = try LatencyObjectives(parsing: goodput) }
        if let concurrency { try check((1...65536).contains(concurrency), "--concurrency must be from 1 to 65536.") }
        if let requests {
            try check((1...Self.mostRequests).contains(requests), "--requests must be from 1 to \(Self.mostRequests).")
        }
        if let duration {
            try check(duration > 0 && duration <= 86400, "--duration must be above 0 and at most 86400.")
        }
        try check(
            requests != nil || duration == nil || concurrency != nil || patterns != [.immediate],
            "--duration with --rate inf needs --concurrency: else requests without number come at once.")
        for (name, value) in [("input-tokens", inputTokens), ("output-tokens", outputTokens)] {
            try check((1...1_000_000).contains(value), "--\(name) must be from 1 to 1000000, but is \(value).")
        }
        try check((0...2).contains(temperature), "--temperature must be from 0 to 2, but is \(temperature).")
        try check((0...10_000).contains(warmup), "--warmup must be from 0 to 10000, but is \(warmup).")
        try check(timeout > 0 && timeout <= 86400, "--timeout must be above 0 and at most 86400 seconds.")
        _ = try target()
    }

    func run() async throws {
        let patterns = try ArrivalPattern.parse(rate)
        let objectives = try goodput.map { try LatencyObjectives(parsing: $0) }
        let prompts = try prompts.map(readPrompts)
        let inputTokens = inputTokens
        let first = UInt64(bitPattern: Int64(seed))
        @Sendable func prompt(_ index: Int, seed: UInt64) -> BenchmarkPrompt {
            prompts.map { $0[index % $0.count] } ?? .randomWords(count: inputTokens, seed: seed, index: index)
        }
        var base = CompletionBody(route: route ?? .completions, model: model, outputTokens: outputTokens)
        base.temperature = temperature
        base.ignoresEndOfText = ignoreEos
        let wanted = base
        let total = requests ?? (duration == nil ? 100 : Self.mostRequests)
        let reports = try await LoadClient.run(
            url: try target(), apiKey: ProcessInfo.processInfo.environment[apiKeyEnv],
            connections: concurrency ?? min(total, 8192), timeout: .seconds(timeout)
        ) { client in
            // Apart from the prompts of the measurement, so that none of these is in the server's prefix cache.
            let body = try await warmUp(client, wanted) { prompt($0, seed: first ^ .max) }
            var reports: [LoadReport] = []
            for (number, pattern) in patterns.enumerated() {
                let seed = first &+ UInt64(number) &* 0x1_0000_0001
                let generator = LoadGenerator(
                    pattern: pattern, seed: seed, concurrency: concurrency, requests: total,
                    duration: duration.map { .seconds($0) })
                let (records, seconds) = try await generator.run { index in
                    do {
                        return await client.send(try body.encoded(prompt(index, seed: seed)))
                    } catch {
                        return RequestRecord(failure: RequestFailure("unencodable_prompt", "\(error)"))
                    }
                }
                reports.append(LoadReport(records: records, duration: seconds, objectives: objectives))
            }
            return reports
        }
        try write(reports, patterns)
        if reports.allSatisfy({ $0.completedCount == 0 }) { throw ExitCode(1) }
    }

    /// Sends the first requests, and finds out what the server does not understand.
    private func warmUp(
        _ client: LoadClient, _ wanted: CompletionBody, prompt: (Int) -> BenchmarkPrompt
    ) async throws -> CompletionBody {
        var body = wanted
        for index in 0..<warmup {
            func attempt(_ body: CompletionBody) async throws -> RequestFailure? {
                let bytes = try body.encoded(prompt(index))
                return await client.send(bytes).failure
            }
            var failure = try await attempt(body)
            if let refused = failure, ["http_400", "http_422"].contains(refused.kind) {
                // As little as possible is given up, and nothing where giving up does not help.
                for (hasUsage, ignoresEnd) in [(false, true), (true, false), (false, false)] where failure != nil {
                    var simpler = wanted
                    simpler.includesUsage = hasUsage
                    simpler.ignoresEndOfText = ignoresEnd && wanted.ignoresEndOfText
                    guard try await attempt(simpler) == nil else { continue }
                    failure = nil
                    body = simpler
                    let fields = [hasUsage ? nil : "stream_options", ignoresEnd ? nil : "ignore_eos"]
                    Console.note(
                        "Without \(fields.compactMap(\.self).joined(separator: ", ")), which this server refuses.")
                }
            }
            if let failure { Console.note("A warm-up request failed: \(failure)") }
        }
        return body
    }

    private func readPrompts(_ path: String) throws -> [BenchmarkPrompt] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("\(path) cannot be read.")
        }
        return try BenchmarkPrompt.parse(String(decoding: data, as: UTF8.self), file: path)
    }

    /// The address of the route: `/v1` is added where the server's address has no path.
    private func target() throws -> String {
        guard let parsed = URL(string: url), let scheme = parsed.scheme, ["http", "https"].contains(scheme),
            parsed.host?.isEmpty == false, parsed.query == nil
        else {
            throw ValidationError("--url must be like http://127.0.0.1:8000 or https://host/v1, but is \(url).")
        }
        var base = url
        while base.hasSuffix("/") { base.removeLast() }
        guard let route else { throw ValidationError("--api must be completions or chat, but is \(api).") }
        return base + (parsed.path.isEmpty || parsed.path == "/" ? "/v1" : "") + route.path
    }

    private func write(_ reports: [LoadReport], _ patterns: [ArrivalPattern]) throws {
        let results = zip(reports, patterns).map { report, pattern -> [String: ReportValue] in
            var json = report.json
            json["endpoint_type"] = .string(route == .chat ? "openai-chat" : "openai")
            json["url"] = .string(url)
            json["model_id"] = .string(model)
            json["arrivals"] = .string("\(pattern)")
            json["request_rate"] = pattern == .immediate ? .string("inf") : .double(pattern.perSecond)
            json["max_concurrency"] = concurrency.map { .int($0) } ?? .null
            json["seed"] = .int(seed)
            return json
        }
        let table = zip(reports, patterns).map { report, pattern in
            let title = "\(model) at \(url), arrivals \(pattern)" + (concurrency.map { ", \($0) at a time" } ?? "")
            return [title, ByteText.table(report.rows), "", ByteText.table(report.latencyRows)].joined(separator: "\n")
        }.joined(separator: "\n\n")
        if results.count == 1, let result = results.first {
            try report.write(result, table: table)
        } else {
            try report.write(["sweep": .array(results.map { .object($0) })], table: table)
        }
    }
}
