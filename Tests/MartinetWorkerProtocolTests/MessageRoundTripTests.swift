import MartinetEngine
import MartinetGrammars
import MartinetWorkerProtocol
import SwiftProtobuf
import Testing

/// Messages carry every field as it was.
@Suite struct MessageRoundTripTests {
    /// SplitMix64: the same parameters in each run.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }

        mutating func tokens(_ count: ClosedRange<Int>) -> [Int32] {
            (0..<Int.random(in: count, using: &self)).map { _ in Int32.random(in: .min ... .max, using: &self) }
        }

        mutating func maybe<Value>(_ make: (inout Generator) -> Value) -> Value? {
            Bool.random(using: &self) ? make(&self) : nil
        }

        mutating func double() -> Double { Double(bitPattern: next() & 0xBFFF_FFFF_FFFF_FFFF) }

        mutating func int() -> Int { Int(truncatingIfNeeded: next()) }
    }

    static func parameters(_ random: inout Generator) -> SamplingParameters {
        var sampling = SamplingParameters()
        sampling.temperature = random.double()
        sampling.topP = random.double()
        sampling.topK = random.int()
        sampling.minP = random.double()
        sampling.repetitionPenalty = random.double()
        sampling.presencePenalty = random.double()
        sampling.frequencyPenalty = random.double()
        sampling.seed = random.maybe { $0.next() }
        sampling.maxTokens = random.maybe { $0.int() }
        sampling.minTokens = random.int()
        sampling.stopTokens = Set(random.tokens(0...5))
        sampling.ignoreEndOfText = Bool.random(using: &random)
        for token in random.tokens(0...5) { sampling.logitBias[token] = Float.random(in: -200...200, using: &random) }
        sampling.logprobs = random.maybe { $0.int() }
        sampling.promptLogprobs = random.maybe { $0.int() }
        sampling.badWords = (0..<Int.random(in: 0...3, using: &random)).map { _ in random.tokens(0...4) }
        sampling.allowedTokens = random.maybe { $0.tokens(0...4) }
        sampling.grammar = random.maybe { grammar(&$0, depth: 0) }
        return sampling
    }

    static func grammar(_ random: inout Generator, depth: Int) -> GrammarSource {
        let text = "text \(random.next()) é"
        let isLeaf = depth > 4
        switch Int.random(in: 0..<(isLeaf ? 5 : 8), using: &random) {
        case 0: return .literal(text)
        case 1: return .jsonSchema(text, form: JSONSchemaForm.allCases.randomElement(using: &random) ?? .any)
        case 2: return .regex(text)
        case 3: return .ebnf(text)
        case 4: return .anyText(before: text)
        case 5, 6:
            let parts = (0..<Int.random(in: 0...3, using: &random)).map { _ in grammar(&random, depth: depth + 1) }
            return Bool.random(using: &random) ? .sequence(parts) : .choice(parts)
        default:
            return .repetition(
                grammar(&random, depth: depth + 1), minimum: random.int(), maximum: random.maybe { $0.int() })
        }
    }

    @Test(arguments: [Duration.milliseconds(1), .seconds(60), .seconds(1 << 40)])
    func deadlinesKeepTheirDistance(distance: Duration) throws {
        let begin = ContinuousClock.now
        let request = EngineRequest(
            id: "", prompt: [1], sampling: SamplingParameters(), deadline: begin + distance)
        let copy = try EngineRequest(WireSubmit(request, number: 1))
        let deadline = try #require(copy.deadline)
        // A month stands for everything longer.
        #expect(deadline >= begin + min(distance, .seconds(30 * 86_400)))
        #expect(deadline - begin <= min(distance, .seconds(31 * 86_400)) + (.now - begin) + .milliseconds(1))
    }

    @Test func requests() throws {
        var random = Generator(state: 4)
        for number in 0..<500 {
            var request = EngineRequest(
                id: "request \(number) ⚙︎", prompt: random.tokens(0...40), sampling: Self.parameters(&random),
                sampleIndex: random.int(), sampleCount: random.int(), emitted: random.tokens(0...9),
                priority: random.int(), cacheSalt: random.maybe { "salt \($0.next())" })
            request.embeds = Bool.random(using: &random)
            let bytes: [UInt8] = try WireSubmit(request, number: UInt64(number)).serializedBytes()
            let wire = try WireSubmit(serializedBytes: bytes)
            let read = try EngineRequest(wire)
            #expect(wire.request == UInt64(number))
            #expect(read.id == request.id)
            #expect(read.prompt == request.prompt)
            #expect(read.sampling == request.sampling)
            #expect(read.sampleIndex == request.sampleIndex)
            #expect(read.sampleCount == request.sampleCount)
            #expect(read.emitted == request.emitted)
            #expect(read.priority == request.priority)
            #expect(read.cacheSalt == request.cacheSalt)
            #expect(read.embeds == request.embeds)
        }
    }

    /// A field that the round trip forgot would be found by no other test: the count of fields is what it was.
    @Test func fieldsOfSampling() {
        #expect(Mirror(reflecting: SamplingParameters()).children.count == 18)
        #expect(Mirror(reflecting: EngineStatistics()).children.count == 18)
    }

    @Test func statistics() throws {
        var random = Generator(state: 5)
        var statistics = EngineStatistics()
        func gauge() -> Int { Int(random.next() >> 30) }
        func counter() -> UInt64 { random.next() >> 10 }
        statistics.running = gauge()
        statistics.waiting = gauge()
        statistics.totalBlocks = gauge()
        statistics.usedBlocks = gauge()
        statistics.cachedBlocks = gauge()
        statistics.steps = counter()
        statistics.promptTokens = counter()
        statistics.cachedPromptTokens = counter()
        statistics.generatedTokens = counter()
        statistics.drafts = counter()
        statistics.draftTokens = counter()
        statistics.acceptedDraftTokens = counter()
        statistics.preemptions = counter()
        statistics.finished = [.stop: 3, .length: 4, .abort: 5]
        statistics.lastBatchSequences = gauge()
        statistics.lastBatchTokens = gauge()
        statistics.secondsSinceProgress = 1.25
        statistics.failure = "broken"
        let bytes: [UInt8] = try WireStatistics(statistics).serializedBytes()
        #expect(EngineStatistics(try WireStatistics(serializedBytes: bytes)) == statistics)
        #expect(EngineStatistics(try WireStatistics(serializedBytes: [UInt8]())) == EngineStatistics())
    }

    @Test func statisticsThatCannotBe() {
        var wire = WireStatistics()
        wire.running = .min
        wire.waiting = .max
        wire.steps = .max
        wire.secondsSinceProgress = .nan
        let read = EngineStatistics(wire)
        #expect(read.running == 0)
        #expect(read.waiting == 1 << 40)
        #expect(read.steps == 1 << 56)
        #expect(read.secondsSinceProgress == 0)
    }

    @Test func events() throws {
        var random = Generator(state: 6)
        func logprobs() -> TokenLogprobs {
            func entry() -> TokenLogprobs.Entry {
                .init(
                    token: Int32.random(in: 0..<99, using: &random), logprob: .random(in: -9...0, using: &random),
                    rank: 7)
            }
            return TokenLogprobs(chosen: entry(), top: (0..<Int.random(in: 0...3, using: &random)).map { _ in entry() })
        }
        let events: [SequenceEvent] = [
            .init(sample: 0, event: .prompt(cached: 16, logprobs: [nil, logprobs(), logprobs()])),
            .init(sample: 0, event: .token(3, logprobs: nil)),
            .init(sample: 1, event: .prompt(cached: 0, logprobs: nil)),
            .init(sample: 1, event: .token(98, logprobs: logprobs())),
            .init(sample: 1, event: .token(0, logprobs: nil)),
            .init(sample: 0, event: .finished(.stop)), .init(sample: 1, event: .finished(.length)),
            .init(sample: 3, event: .embedding(Embedding(values: [1, -0.5, 3e38]))),
            .init(sample: 2, event: .finished(.abort)),
        ]
        var step = WireStep()
        step.append(events, of: 5)
        step.append(EngineError(.queueFull, "full", parameter: "n"), of: 6)
        let bytes: [UInt8] = try step.serializedBytes()
        var reader = try StepEvents(WireStep(serializedBytes: bytes), vocabularySize: 99)
        for event in events {
            guard case (5, .event(let read))? = try reader.next() else {
                Issue.record("an event is missing")
                continue
            }
            #expect(read.sample == event.sample)
            #expect("\(read.event)" == "\(event.event)")
        }
        guard case (6, .failed(let error))? = try reader.next() else {
            Issue.record("the failure is missing")
            return
        }
        #expect(error.code == .queueFull)
        #expect(error.message == "full")
        #expect(error.parameter == "n")
        #expect(try reader.next() == nil)
    }

    /// What a broken or hostile worker might send.
    static let senseless: [(name: String, change: @Sendable (inout WireStep) -> Void)] = [
        ("a request too many", { $0.requests.append(1) }), ("a sample too few", { $0.samples.removeLast() }),
        ("a kind too many", { $0.kinds.append(.finishedStop) }), ("no tokens", { $0.tokens = [] }),
        ("a negative token", { $0.tokens = [-1] }), ("a token too large", { $0.tokens = [99] }),
        ("an unknown kind", { $0.kinds = [.UNRECOGNIZED(77)] }), ("a prompt without facts", { $0.kinds = [.prompt] }),
        ("an embedding that is missing", { $0.kinds = [.embedding] }),
        (
            "an embedding of no numbers",
            {
                $0.kinds = [.embedding]
                $0.embeddings = [.with { $0.values = [1, .nan] }]
            }
        ),
        ("a failure without error", { $0.kinds = [.failed] }),
        ("log probabilities that are missing", { $0.kinds = [.tokenWithLogprobs] }),
        (
            "log probabilities that are empty",
            {
                $0.kinds = [.tokenWithLogprobs]
                $0.logprobs = [WireLogprobs()]
            }
        ),
        (
            "log probabilities of different lengths",
            {
                var logprobs = WireLogprobs()
                logprobs.tokens = [1]
                $0.kinds = [.tokenWithLogprobs]
                $0.logprobs = [logprobs]
            }
        ),
        (
            "negative cached tokens",
            {
                var prompt = WirePrompt()
                prompt.cached = -1
                $0.kinds = [.prompt]
                $0.prompts = [prompt]
            }
        ),
    ]

    @Test(arguments: senseless.indices)
    func senselessSteps(_ index: Int) throws {
        var step = WireStep()
        step.append([.init(sample: 0, event: .token(1, logprobs: nil))], of: 1)
        Self.senseless[index].change(&step)
        let error = #expect(throws: WorkerProtocolError.self, "\(Self.senseless[index].name)") {
            var reader = try StepEvents(step, vocabularySize: 99)
            while try reader.next() != nil {}
        }
        #expect(error?.code == .protocolViolation)
    }

    @Test(arguments: [
        ("127.0.0.1:9000", WorkerAddress.tcp(host: "127.0.0.1", port: 9000)), ("[::1]:0", .tcp(host: "::1", port: 0)),
        ("worker.example:1", .tcp(host: "worker.example", port: 1)),
    ])
    func addresses(_ text: String, _ address: WorkerAddress) throws {
        #expect(try WorkerAddress.tcp(parsing: text) == address)
        #expect("\(address)" == text)
    }

    @Test(arguments: ["", ":", "host", "host:", ":80", "host:65536", "host:-1", "::1:80", "[]:80", "host:8o"])
    func addressesThatCannotBe(_ text: String) {
        let error = #expect(throws: WorkerProtocolError.self) { try WorkerAddress.tcp(parsing: text) }
        #expect(error?.code == .invalidAddress)
    }
}
