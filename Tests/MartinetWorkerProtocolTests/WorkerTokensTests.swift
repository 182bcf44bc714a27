import MartinetEngine
import MartinetGrammars
import MartinetTestKit
import MartinetWorkerProtocol
import Testing

/// What comes through a worker is what comes of the engine itself.
@Suite struct WorkerTokensTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout EngineRequest) -> Void
        var samples = 1
    }

    static let cases = [
        Case(testDescription: "greedy") { _ in },
        Case(testDescription: "seeded") {
            $0.sampling.temperature = 1.3
            $0.sampling.seed = 7
        },
        Case(testDescription: "log probabilities") { $0.sampling.logprobs = 5 },
        Case(testDescription: "log probability of the chosen alone") { $0.sampling.logprobs = 0 },
        Case(testDescription: "the prompt's log probabilities") {
            $0.sampling.promptLogprobs = 3
            $0.sampling.logprobs = 1
        },
        Case(
            testDescription: "samples",
            change: {
                $0.sampling.temperature = 1
                $0.sampling.seed = 11
                $0.sampleIndex = 2
                $0.sampleCount = 4
            }, samples: 4),
        Case(testDescription: "every token stops") {
            $0.sampling.stopTokens = Set((0..<320).prefix(100).map { Int32($0) })
            $0.sampling.minTokens = 3
        },
        Case(testDescription: "a grammar") {
            $0.sampling.temperature = 1.5
            $0.sampling.seed = 3
            $0.sampling.grammar = .sequence([
                .choice([.literal("yes"), .literal("no")]), .ebnf(#"root ::= " " [a-z]{3,9}"#),
            ])
        },
        Case(testDescription: "going on behind tokens") {
            $0.sampling.temperature = 1.1
            $0.sampling.seed = 5
            $0.emitted = [4, 5, 6, 7]
        },
    ]

    @Test(arguments: cases)
    func sameAsInProcess(_ example: Case) async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        let wanted = request("r", example.change)
        let (here, there) = (Recorder(), Recorder())
        try worker.engine.submit(wanted, to: here)
        let expected = try await here.ended(samples: example.samples)
        let ticket = try client.submit(wanted, to: there)
        let record = try await there.ended(samples: example.samples)

        #expect(record.failures.isEmpty)
        #expect(record.tokens == expected.tokens)
        #expect(record.tokens.values.contains { !$0.isEmpty })
        #expect(record.logprobs == expected.logprobs)
        #expect(record.finished == expected.finished)
        #expect(record.prompt?.logprobs == expected.prompt?.logprobs)
        #expect(record.prompt != nil)
        #expect(record.endings.sorted() == expected.endings.sorted())
        #expect(record.eventsAfterEnd == 0)
        withExtendedLifetime((client, ticket)) {}
        try await worker.end()
    }

    @Test func anEmbedding() async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        let wanted = request("e", prompt: (0..<200).map { Int32($0) }) { $0.embeds = true }
        let (here, there) = (Recorder(), Recorder())
        try worker.engine.submit(wanted, to: here)
        let expected = try await here.ended()
        let ticket = try client.submit(wanted, to: there)
        let record = try await there.ended()
        #expect(record.embedding == expected.embedding)
        #expect(record.embedding?.values.count == 64)
        #expect(record.finished == [0: .stop])
        #expect(record.tokens.isEmpty)
        withExtendedLifetime((client, ticket)) {}
        try await worker.end()
    }

    @Test func aGrammarThatCannotBeCompiled() async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        let sink = Recorder()
        let ticket = try client.submit(request("g") { $0.sampling.grammar = .ebnf("root ::= missing") }, to: sink)
        let record = try await sink.ended()
        #expect(record.failures.map(\.code) == [.invalidParameter])
        #expect(record.failures[0].message.contains("missing"))
        withExtendedLifetime((client, ticket)) {}
        try await worker.end()
    }

    @Test func manyAtOnce() async throws {
        let worker = try WorkerHarness()
        let clients = [try await worker.connect(), try await worker.connect()]
        func wanted(_ index: Int) -> EngineRequest {
            request("r\(index)", prompt: [1, Int32(index % 300), Int32(index * 7 % 300), 5], maxTokens: 5 + index % 30)
            {
                $0.sampling.temperature = 1
                $0.sampling.seed = UInt64(index)
            }
        }
        let here = (0..<64).map { _ in Recorder() }
        for (index, sink) in here.enumerated() { try worker.engine.submit(wanted(index), to: sink) }
        let there = (0..<64).map { _ in Recorder() }
        for (index, sink) in there.enumerated() {
            _ = try clients[index % 2].submit(wanted(index), to: sink)
        }
        for (index, sink) in there.enumerated() {
            let (record, expected) = (try await sink.ended(), try await here[index].ended())
            #expect(record.tokens == expected.tokens)
            #expect(record.finished == expected.finished)
            #expect(record.eventsAfterEnd == 0)
        }
        try await eventually("the end of all requests") { worker.server.openCount == 0 }
        // A client that goes aborts its requests.
        withExtendedLifetime(clients) {}
        try await worker.end()
    }
}
