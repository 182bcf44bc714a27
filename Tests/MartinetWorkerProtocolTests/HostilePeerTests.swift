import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MartinetEngine
import MartinetGrammars
import MartinetTestKit
import MartinetWorkerProtocol
import SwiftProtobuf
import Synchronization
import Testing

/// Peers that are broken or mean harm: they are refused or cut off, and nobody else notices.
@Suite struct HostilePeerTests {
    /// A request that is fine.
    static func submission(_ number: UInt64, _ change: (inout WireSubmit) -> Void = { _ in }) -> WireFrontendMessage {
        var submission = WireSubmit(request(), number: number)
        change(&submission)
        return .with { $0.submit = submission }
    }

    static let refused: [(parameter: String, change: @Sendable (inout WireSubmit) -> Void)] = [
        ("sampling", { $0.clearSampling() }), ("prompt", { $0.prompt = [] }), ("prompt", { $0.prompt = [-1] }),
        ("prompt", { $0.prompt = [.max] }), ("prompt", { $0.prompt = Array(repeating: 1, count: 600) }),
        ("n", { $0.sampleCount = 0 }), ("n", { $0.sampleCount = .min }), ("n", { $0.sampleCount = .max }),
        ("n", { $0.sampleIndex = -1 }), ("n", { $0.sampleIndex = .max }), ("emitted", { $0.emitted = [-7] }),
        (
            "emitted",
            {
                $0.emitted = [1]
                $0.sampleCount = 2
            }
        ),
        ("temperature", { $0.sampling.temperature = .nan }), ("top_p", { $0.sampling.topP = 0 }),
        ("top_k", { $0.sampling.topK = .min }), ("max_tokens", { $0.sampling.maxTokens = .min }),
        ("min_tokens", { $0.sampling.minTokens = -1 }), ("logprobs", { $0.sampling.logprobs = .max }),
        ("prompt_logprobs", { $0.sampling.promptLogprobs = -1 }), ("stop_token_ids", { $0.sampling.stopTokens = [-1] }),
        ("logit_bias", { $0.sampling.biasTokens = [1] }),
        (
            "logit_bias",
            {
                $0.sampling.biasTokens = [1]
                $0.sampling.biasValues = [.infinity]
            }
        ), ("bad_words", { $0.sampling.badWords = [WireTokens()] }),
        ("allowed_token_ids", { $0.sampling.allowedTokens = WireTokens() }),
        ("", { $0.sampling.grammar = WireGrammar() }),
        ("", { $0.sampling.grammar.sequence.grammars = [WireGrammar()] }),
        ("", { $0.sampling.grammar.repetition.minimum = 1 }),
        (
            "",
            {
                $0.sampling.grammar.repetition.grammar.literal = "a"
                $0.sampling.grammar.repetition.minimum = .min
            }
        ),
        (
            "",
            {
                $0.sampling.grammar.repetition.grammar.literal = "a"
                $0.sampling.grammar.repetition.maximum = -1
            }
        ),
        (
            "",
            {
                // Deeper than a source may be, not deeper than a message may.
                var grammar = WireGrammar(.literal("a"))
                for _ in 0..<40 { grammar = .with { [grammar] in $0.sequence.grammars = [grammar] } }
                $0.sampling.grammar = grammar
            }
        ),
        (
            "",
            {
                let part = WireGrammar(.literal(""))
                $0.sampling.grammar.choice.grammars = Array(repeating: part, count: 20_000)
            }
        ),
        (
            "n",
            {
                $0.embeds = true
                $0.sampleCount = 2
            }
        ),
    ]

    @Test func requestsThatCannotBe() async throws {
        let worker = try WorkerHarness()
        try await withRawFrontend(worker.server) { frontend in
            try await frontend.connect { writer in
                for (number, example) in Self.refused.enumerated() {
                    try await writer.write(Self.submission(UInt64(number), example.change))
                }
            } onResponse: { response in
                var next = 0
                for try await message in response.messages {
                    guard case .refused(let refused) = message.message else { continue }
                    #expect(refused.request == UInt64(next))
                    #expect(refused.failure.parameter == Self.refused[next].parameter)
                    #expect(["invalid_parameter", "context_length_exceeded"].contains(refused.failure.code))
                    #expect(!refused.failure.message.isEmpty)
                    next += 1
                    if next == Self.refused.count { break }
                }
                #expect(next == Self.refused.count)
            }
        }
        try await eventually("the frontend's end") { worker.server.frontendCount == 0 }
        #expect(worker.engine.statistics().steps == 0)
        try await worker.end()
    }

    /// Extremes that are allowed must not trap either.
    @Test func extremesThatAreAllowed() async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        let changes: [(inout EngineRequest) -> Void] = [
            { $0.priority = .min }, { $0.priority = .max }, { $0.sampling.maxTokens = .max },
            {
                $0.sampling.minTokens = .max; $0.sampling.maxTokens = nil
            }, { $0.sampling.topK = .max },
            {
                $0.sampleIndex = 1 << 20; $0.sampleCount = 128; $0.sampling.maxTokens = 1
            },
            {
                $0.sampling.seed = .max; $0.sampling.temperature = 100
            },
            { $0.cacheSalt = String(repeating: "s", count: 100_000) },
        ]
        for change in changes {
            let wanted = request("extreme", maxTokens: 4, change)
            let sink = Recorder()
            let ticket = try client.submit(wanted, to: sink)
            let record = try await sink.ended(samples: wanted.sampleCount)
            #expect(record.failures.isEmpty)
            #expect(record.finished.count == wanted.sampleCount)
            withExtendedLifetime(ticket) {}
        }
        try await worker.end()
    }

    static let cutOff: [(name: String, messages: [WireFrontendMessage])] = [
        ("a number twice", [submission(1) { $0.sampling.clearMaxTokens() }, submission(1)]),
        ("a message of no kind", [submission(1) { $0.sampling.clearMaxTokens() }, WireFrontendMessage()]),
        (
            "a grammar without end",
            [
                submission(1) {
                    var grammar = WireGrammar(.literal("a"))
                    for _ in 0..<200 { grammar = .with { [grammar] in $0.sequence.grammars = [grammar] } }
                    $0.sampling.grammar = grammar
                }
            ]
        ),
        ("a message too large", [submission(1) { $0.prompt = Array(repeating: .max, count: 8 << 20) }]),
    ]

    @Test(arguments: cutOff.indices)
    func frontendsThatAreCutOff(_ index: Int) async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        try await withRawFrontend(worker.server) { frontend in
            _ = await #expect(throws: RPCError.self, "\(Self.cutOff[index].name)") {
                try await frontend.connect { writer in
                    try await writer.write(contentsOf: Self.cutOff[index].messages)
                    // A frontend that only stops writing would be let go.
                    try await Task.sleep(for: .seconds(100))
                } onResponse: { response in
                    for try await _ in response.messages {}
                }
            }
        }
        try await eventually("free slots") {
            worker.server.frontendCount == 1 && worker.engine.statistics().running == 0
        }
        let sink = Recorder()
        let ticket = try client.submit(request(), to: sink)
        #expect(try await sink.ended().finished == [0: .length])
        withExtendedLifetime(ticket) {}
        try await worker.end()
    }

    @Test func cancellingWhatIsUnknown() async throws {
        let worker = try WorkerHarness()
        try await withRawFrontend(worker.server) { frontend in
            try await frontend.connect { writer in
                for sample in [nil, Int64.min, .max, 0, 5] {
                    let cancel = WireFrontendMessage.with {
                        $0.cancel.request = 1
                        if let sample { $0.cancel.sample = sample }
                    }
                    try await writer.write(cancel)
                    if sample == nil {
                        try await writer.write(Self.submission(1) { $0.sampling.maxTokens = 400 })
                    } else if sample != 0 {
                        try await writer.write(cancel)
                    }
                }
                try await writer.write(Self.submission(2) { $0.sampling.maxTokens = 1 })
            } onResponse: { response in
                for try await message in response.messages {
                    guard case .step(let step) = message.message else { continue }
                    if step.requests.contains(2) { break }
                }
            }
        }
        try await eventually("the frontend's end") { worker.server.frontendCount == 0 }
        try await worker.end()
    }

    @Test func bytesThatAreNoProtocol() async throws {
        let worker = try WorkerHarness(address: .tcp(host: "127.0.0.1", port: 0))
        guard case .tcp(_, let port) = worker.server.address else { return }
        for text in ["GET / HTTP/1.1\r\n\r\n", String(repeating: "\u{0}\u{1}x", count: 50_000)] {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            #expect(connected == 0)
            _ = Array(text.utf8).withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            close(descriptor)
        }
        #expect(try await worker.connect().description.model == "tiny")
        try await worker.end()
    }

    @Test func aFrontendThatDoesNotRead() async throws {
        var limits = WorkerServer.Limits()
        limits.outboxSize = 1 << 16
        limits.writeTimeout = .milliseconds(500)
        let worker = try WorkerHarness(limits: limits)
        let client = try await worker.connect()
        try await withRawFrontend(worker.server) { frontend in
            _ = try? await frontend.connect { writer in
                // Some 200 kB of log probabilities each, until the connection is cut off.
                for number in UInt64(0)... {
                    try await writer.write(
                        Self.submission(number) {
                            $0.prompt = (0..<500).map { Int32(($0 + Int(number)) % 320) }
                            $0.sampling.promptLogprobs = 20
                            $0.sampling.maxTokens = 1
                        })
                    try await eventually("the request's end") { worker.server.openCount < 16 }
                }
            } onResponse: { _ in
                // Messages are there, but nobody asks for them.
                try await eventually("both frontends") { worker.server.frontendCount == 2 }
                try await eventually("the end of patience") { worker.server.frontendCount == 1 }
            }
        }
        try await eventually("free slots") { worker.engine.statistics().running == 0 }
        #expect(worker.server.frontendCount == 1)
        #expect(client.progress.isConnected)
        try await worker.end()
    }

    // MARK: Workers

    static func hello(_ change: (inout WireDescription) -> Void) -> WireWorkerMessage {
        var description = RawWorker.description
        change(&description)
        return .with { $0.hello = description }
    }

    static let strangers: [(name: String, message: WireWorkerMessage)] = [
        ("another version", hello { $0.protocolVersion = 99 }), ("no vocabulary", hello { $0.vocabularySize = 0 }),
        ("too many ids", hello { $0.vocabularySize = .max }), ("no length", hello { $0.maxModelLength = -1 }),
        ("no hello", .with { $0.heartbeat = WireHeartbeat() }), ("nothing", WireWorkerMessage()),
    ]

    @Test(arguments: strangers.indices)
    func workersThatAreNone(_ index: Int) async throws {
        try await RawWorker.run({ messages, response in
            try await response.write(Self.strangers[index].message)
            for try await _ in messages {}
        }) { address in
            let error = await #expect(throws: WorkerProtocolError.self, "\(Self.strangers[index].name)") {
                try await WorkerClient.connect(to: address, timeout: .seconds(60))
            }
            #expect([.unreachable, .protocolViolation].contains(error?.code))
        }
    }

    @Test func aWorkerThatSaysNothing() async throws {
        try await RawWorker.run({ messages, _ in for try await _ in messages {} }) { address in
            let error = await #expect(throws: WorkerProtocolError.self) {
                try await WorkerClient.connect(to: address, timeout: .milliseconds(300))
            }
            #expect(error?.code == .unreachable)
        }
    }

    static func step(_ request: UInt64, _ events: [SequenceEvent]) -> WireWorkerMessage {
        var step = WireStep()
        step.append(events, of: request)
        return .with { $0.step = step }
    }

    static let senseless: [(name: String, message: WireWorkerMessage)] = [
        ("a token out of the vocabulary", step(0, [.init(sample: 0, event: .token(100, logprobs: nil))])),
        ("a sample that nobody asked for", step(0, [.init(sample: 1, event: .token(1, logprobs: nil))])),
        ("a negative sample", step(0, [.init(sample: .min, event: .finished(.stop))])),
        ("another hello", RawWorker.hello), ("nothing", WireWorkerMessage()),
    ]

    @Test(arguments: senseless.indices)
    func workersThatMakeNoSense(_ index: Int) async throws {
        try await RawWorker.run({ messages, response in
            try await response.write(RawWorker.hello)
            for try await _ in messages {
                // Of no request that is open, so nobody's.
                try await response.write(Self.step(77, [.init(sample: 0, event: .token(1, logprobs: nil))]))
                try await response.write(Self.step(0, [.init(sample: 0, event: .token(1, logprobs: nil))]))
                try await response.write(Self.senseless[index].message)
            }
        }) { address in
            let losses = Mutex(0)
            let client = try await WorkerClient.connect(to: address, timeout: .seconds(60)) { _ in
                losses.withLock { $0 += 1 }
            }
            let sink = Recorder()
            let ticket = try client.submit(request(prompt: [1]), to: sink)
            let record = try await sink.ended()
            #expect(record.tokens == [0: [1]], "\(Self.senseless[index].name)")
            #expect(record.failures.map(\.code) == [.workerLost])
            try await eventually("the loss") { losses.withLock { $0 } == 1 }
            withExtendedLifetime(ticket) {}
        }
    }

    @Test func filesThatLeadOutside() async throws {
        try await RawWorker.run({ messages, response in
            try await response.write(RawWorker.hello)
            for try await _ in messages {}
        }) { address in
            let client = try await WorkerClient.connect(to: address, timeout: .seconds(60))
            await #expect(throws: (any Error).self) { try await client.textFiles() }
        }
    }
}
