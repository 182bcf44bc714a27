import MartinetEngine
import MartinetModels
import MartinetTestKit
import Testing

/// The engine over ``HistoryRunner``: whatever it does to blocks and batches must not change a sequence's tokens.
@Suite(.timeLimit(.minutes(5))) struct EngineTests {
    private func makeEngine(
        blocks: Int = 64, blockSize: Int = 4, maxTokens: Int = 32, maxSequences: Int = 8, maxLength: Int = 64,
        maxWaiting: Int = 1000, endTokens: Set<Int32> = [], reuses: Bool = true,
        configure: (HistoryRunner) -> Void = { _ in }
    ) throws -> Engine {
        let runner = HistoryRunner(
            limits: RunnerLimits(
                maxBatchedTokens: maxTokens, maxLogitRows: maxSequences, maxModelLength: maxLength,
                blockSize: blockSize, blockCount: blocks))
        configure(runner)
        nonisolated(unsafe) let confined = runner
        return try Engine(
            maxSequences: maxSequences, maxWaiting: maxWaiting, endTokens: endTokens, seed: 0, reusesPrefixes: reuses
        ) { confined }
    }

    private struct Collected {
        var tokens: [Int32] = []
        var logprobs: [TokenLogprobs] = []
        var prompt: (cached: Int, logprobs: [TokenLogprobs?]?)?
        var embedding: Embedding?
        var reason: FinishReason?
    }

    private func collect(_ engine: Engine, _ request: EngineRequest) async throws -> Collected {
        let mailbox = Mailbox()
        try engine.submit(request, to: mailbox)
        return try await collect(mailbox)
    }

    private func collect(_ mailbox: Mailbox) async throws -> Collected {
        var result = Collected()
        while result.reason == nil {
            switch await mailbox.next() {
            case .closed: return result
            case .failed(let error): throw error
            case .items(let items):
                for item in items {
                    switch item.event {
                    case .prompt(let cached, let logprobs): result.prompt = (cached, logprobs)
                    case .token(let token, let logprobs):
                        result.tokens.append(token)
                        if let logprobs { result.logprobs.append(logprobs) }
                    case .embedding(let embedding): result.embedding = embedding
                    case .finished(let reason): result.reason = reason
                    }
                }
            }
        }
        return result
    }

    private func request(_ prompt: [Int32], _ count: Int, change: (inout SamplingParameters) -> Void = { _ in })
        -> EngineRequest
    {
        var sampling = SamplingParameters.greedy
        sampling.maxTokens = count
        change(&sampling)
        return EngineRequest(id: "test", prompt: prompt, sampling: sampling)
    }

    private func waitUntilIdle(_ engine: Engine) async throws {
        for _ in 0..<2000 {
            let statistics = engine.statistics()
            if statistics.running == 0, statistics.waiting == 0, statistics.usedBlocks == 0 { return }
            try await Task.sleep(for: .milliseconds(2))
        }
        Issue.record("the engine did not become idle: \(engine.statistics())")
    }

    @Test(arguments: [(64, 32, true), (64, 32, false), (20, 32, true), (20, 5, true), (18, 3, false), (64, 1, true)])
    func batchesChunksAndPreemptionsChangeNothing(blocks: Int, maxTokens: Int, reuses: Bool) async throws {
        let engine = try makeEngine(blocks: blocks, maxTokens: maxTokens, reuses: reuses)
        var random = SeededGenerator(seed: UInt64(blocks * 100 + maxTokens))
        // Few different tokens, so that many prompts share prefixes.
        let prompts = (0..<40).map { index in
            (0..<Int.random(in: 1...30, using: &random)).map { _ in Int32.random(in: 0...1, using: &random) }
                + [Int32(index % 5)]
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for prompt in prompts {
                let count = Int.random(in: 1...30, using: &random)
                group.addTask {
                    let result = try await collect(engine, request(prompt, count))
                    #expect(result.tokens == HistoryRunner.greedy(prompt, count: count))
                    #expect(result.reason == .length)
                }
            }
            try await group.waitForAll()
        }
        try await waitUntilIdle(engine)
        let statistics = engine.statistics()
        #expect(statistics.finished[.length] == 40)
        if blocks < 64 { #expect(statistics.preemptions > 0) }
        if !reuses { #expect(statistics.cachedPromptTokens == 0) }
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aSecondPromptReusesTheFirstOnesBlocks() async throws {
        let engine = try makeEngine()
        let prompt = (0..<23).map { Int32($0) }
        let first = try await collect(engine, request(prompt, 3))
        let second = try await collect(engine, request(prompt, 3))
        #expect(first.prompt?.cached == 0)
        #expect(second.prompt?.cached == 20)
        #expect(first.tokens == second.tokens)
        var salted = request(prompt, 3)
        salted.cacheSalt = "other"
        #expect(try await collect(engine, salted).prompt?.cached == 0)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aSeedFixesTheTextWhateverElseRuns() async throws {
        let engine = try makeEngine()
        let prompt: [Int32] = [1, 2, 3]
        func seeded(_ seed: UInt64, sample: Int = 0) -> EngineRequest {
            var result = request(prompt, 20) { ($0.temperature, $0.seed) = (1, seed) }
            result.sampleIndex = sample
            return result
        }
        let alone = try await collect(engine, seeded(7)).tokens
        #expect(try await collect(engine, seeded(8)).tokens != alone)
        #expect(try await collect(engine, seeded(7, sample: 1)).tokens != alone)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<30 {
                group.addTask {
                    let noise = request([Int32(index)], 15) { $0.temperature = 1 }
                    _ = try await collect(engine, noise)
                }
            }
            group.addTask {
                let again = try await collect(engine, seeded(7)).tokens
                #expect(again == alone)
            }
            try await group.waitForAll()
        }
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func endTokensStopAfterMinTokens() async throws {
        let prompt: [Int32] = [5, 6]
        let expected = HistoryRunner.greedy(prompt, count: 12)
        let end = expected[4]
        let first = expected.firstIndex(of: end) ?? 0
        let engine = try makeEngine(endTokens: [end])
        let stopped = try await collect(engine, request(prompt, 12))
        #expect(stopped.tokens == Array(expected[...first]))
        #expect(stopped.reason == .stop)
        let ignoring = try await collect(engine, request(prompt, 12) { $0.ignoreEndOfText = true })
        #expect(ignoring.tokens == expected)
        let held = try await collect(engine, request(prompt, 12) { $0.minTokens = 9 })
        #expect(!held.tokens.prefix(9).contains(end))
        #expect(held.tokens.count >= 10 || held.reason == .length)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func generationEndsAtTheContext() async throws {
        let engine = try makeEngine(maxLength: 16)
        let result = try await collect(engine, request([1, 2, 3], 1000))
        #expect(result.tokens.count == 13)
        #expect(result.reason == .length)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test(arguments: [32, 8, 3]) func promptLogprobsCoverEveryToken(maxTokens: Int) async throws {
        let engine = try makeEngine(maxTokens: maxTokens, maxSequences: 4)
        let prompt = (0..<21).map { Int32($0 % 7) }
        _ = try await collect(engine, request(prompt, 1))
        let result = try await collect(engine, request(prompt, 2) { ($0.promptLogprobs, $0.logprobs) = (1, 2) })
        let logprobs = try #require(result.prompt?.logprobs)
        #expect(logprobs.count == 21)
        #expect(logprobs[0] == nil)
        #expect(logprobs.dropFirst().allSatisfy { $0 != nil })
        #expect(logprobs.dropFirst().map { $0?.chosen.token } == prompt.dropFirst().map { $0 })
        #expect(logprobs[20]?.top.first?.token == HistoryRunner.greedy(Array(prompt[..<20]), count: 1).first)
        #expect(result.logprobs.count == 2)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func clientsThatLeaveGiveTheirBlocksBack() async throws {
        let engine = try makeEngine(blocks: 256, maxSequences: 16, maxLength: 1024)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<64 {
                group.addTask {
                    let prompt = (0..<(5 + index % 9)).map { Int32(($0 * index) % 64) }
                    if index % 2 == 0 {
                        let result = try await collect(engine, request(prompt, 20))
                        #expect(result.tokens == HistoryRunner.greedy(prompt, count: 20))
                    } else {
                        let mailbox = Mailbox()
                        let ticket = try engine.submit(request(prompt, 900), to: mailbox)
                        if index % 4 == 1 { _ = await mailbox.next() }
                        ticket.cancel()
                    }
                }
            }
            try await group.waitForAll()
        }
        try await waitUntilIdle(engine)
        // On a busy machine a client may leave after its last token.
        let finished = engine.statistics().finished
        #expect(finished[.abort, default: 0] > 0)
        #expect(finished[.abort, default: 0] + finished[.length, default: 0] == 64)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func prioritiesGoFirst() async throws {
        let engine = try makeEngine(blocks: 256, maxSequences: 1, maxLength: 1024)
        // The first occupies the only place until all others wait.
        let blocker = Mailbox()
        let ticket = try engine.submit(request([9], 1000), to: blocker)
        let order = Mailbox()
        for priority in [2, 0, 1] {
            var waiting = request([1], 1)
            waiting.priority = priority
            waiting.sampleIndex = priority
            try engine.submit(waiting, to: order)
        }
        ticket.cancel()
        var samples: [Int] = []
        while samples.count < 3 {
            guard case .items(let items) = await order.next() else { break }
            for item in items { if case .finished = item.event { samples.append(item.sample) } }
        }
        #expect(samples == [0, 1, 2])
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aRunnersErrorReachesEveryConsumerAndLaterOnes() async throws {
        let engine = try makeEngine { $0.failsAtStep = 5 }
        await #expect(throws: EngineError.self) { try await collect(engine, request([1], 50)) }
        await #expect(throws: EngineError.self) { try await collect(engine, request([1], 50)) }
        #expect(engine.statistics().failure?.contains("told to fail") == true)
        #expect(engine.statistics().usedBlocks == 0)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func shutdownLetsRunningRequestsEndAndRefusesNewOnes() async throws {
        let engine = try makeEngine()
        let mailbox = Mailbox()
        try engine.submit(request([1, 2], 40), to: mailbox)
        async let result = collect(mailbox)
        await engine.shutdown(deadline: .seconds(20))
        #expect(try await result.tokens.count == 40)
        #expect(throws: EngineError.self) { try engine.submit(request([1], 1), to: Mailbox()) }
    }

    @Test func shutdownWaitsForSamplesThatHaveNotStarted() async throws {
        let engine = try makeEngine()
        let mailbox = Mailbox()
        var samples = request([1, 2], 5)
        samples.sampleCount = 3
        try engine.submit(samples, to: mailbox)
        await engine.shutdown(deadline: .seconds(20))
        #expect(engine.statistics().finished == [.length: 3])
    }

    @Test func samplesShareThePromptAndDrawTheirOwnTokens() async throws {
        let engine = try makeEngine()
        let mailbox = Mailbox()
        var samples = request([1, 2, 3, 4, 5], 12) {
            $0.temperature = 1
            $0.seed = 7
        }
        samples.sampleCount = 4
        let ticket = try engine.submit(samples, to: mailbox)
        // One that nobody wants never starts.
        ticket.cancel(sample: 2)
        var tokens: [Int: [Int32]] = [:]
        var ended: Set<Int> = []
        while !ended.isSuperset(of: [0, 1, 3]) {
            guard case .items(let items) = await mailbox.next() else { break }
            for item in items {
                if case .token(let token, _) = item.event { tokens[item.sample, default: []].append(token) }
                if case .finished = item.event { ended.insert(item.sample) }
            }
        }
        #expect(tokens[2] == nil)
        for sample in [0, 1, 3] {
            var alone = samples
            alone.sampleIndex = sample
            alone.sampleCount = 1
            #expect(try await collect(engine, alone).tokens == tokens[sample])
        }
        #expect(tokens[0] != tokens[1])
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test(arguments: [0, 1, 7, 19], [0.0, 1.0])
    func aSequenceGoesOnAsIfItHadNeverStopped(emitted: Int, temperature: Double) async throws {
        let whole = request([3, 1, 4, 1, 5], 20) {
            $0.temperature = temperature
            $0.seed = 42
            $0.presencePenalty = 1
            $0.frequencyPenalty = 0.5
            $0.repetitionPenalty = 1.3
        }
        let first = try makeEngine()
        let tokens = try await collect(first, whole).tokens
        #expect(tokens.count == 20)
        await first.shutdown(deadline: .seconds(1))
        let second = try makeEngine(blockSize: 3, maxTokens: 5, reuses: false)
        var rest = whole
        rest.emitted = Array(tokens.prefix(emitted))
        let continued = try await collect(second, rest)
        #expect(continued.tokens == Array(tokens.dropFirst(emitted)))
        #expect(continued.reason == .length)
        await second.shutdown(deadline: .seconds(1))
    }

    @Test func aDeadlineEndsWhatRunsAndWhatWaits() async throws {
        let engine = try makeEngine(blocks: 20000, maxSequences: 1, maxLength: 60000)
        var running = request([1], 50000)
        running.deadline = .now + .milliseconds(200)
        var waiting = request([2], 1)
        waiting.deadline = running.deadline
        waiting.sampleCount = 3
        let (first, second) = (Mailbox(), Mailbox())
        try engine.submit(running, to: first)
        try engine.submit(waiting, to: second)
        for mailbox in [first, second] {
            let error = await #expect(throws: EngineError.self) { try await collect(mailbox) }
            #expect(error?.code == .deadlineExceeded)
        }
        try await waitUntilIdle(engine)
        var late = request([1], 1)
        late.deadline = .now
        let error = #expect(throws: EngineError.self) { try engine.submit(late, to: Mailbox()) }
        #expect(error?.code == .deadlineExceeded)
        #expect(try await collect(engine, request([1], 1)).tokens.count == 1)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aPoolSmallerThanASequenceIsRefused() {
        #expect(throws: EngineError.self) { try makeEngine(blocks: 63, blockSize: 4, maxLength: 256) }
        #expect(throws: Never.self) { try makeEngine(blocks: 64, blockSize: 4, maxLength: 256).stop() }
    }

    @Test func theQueueCountsSamplesThatHaveNotStarted() async throws {
        let engine = try makeEngine(blocks: 20000, maxSequences: 1, maxLength: 60000, maxWaiting: 4)
        func samples(_ count: Int, tokens: Int) -> EngineRequest {
            var samples = request([1], tokens)
            samples.sampleCount = count
            return samples
        }
        // It would run for minutes, its other samples behind it.
        try engine.submit(samples(3, tokens: 50000), to: Mailbox())
        while engine.statistics().running == 0, !Task.isCancelled { try await Task.sleep(for: .milliseconds(1)) }
        let error = #expect(throws: EngineError.self) { try engine.submit(samples(3, tokens: 1), to: Mailbox()) }
        #expect(error?.code == .queueFull)
        try engine.submit(samples(2, tokens: 1), to: Mailbox())
        #expect(throws: EngineError.self) { try engine.submit(request([1], 1), to: Mailbox()) }
        await engine.shutdown(deadline: .milliseconds(1))
        let idle = try makeEngine(maxWaiting: 4)
        // More than the queue holds is taken where nothing waits.
        try idle.submit(samples(9, tokens: 1), to: Mailbox())
        await idle.shutdown(deadline: .seconds(20))
        #expect(idle.statistics().finished[.length] == 9)
    }

    @Test func shutdownAbortsWhatDoesNotEndInTime() async throws {
        let engine = try makeEngine(blocks: 20000, maxLength: 60000)
        let mailbox = Mailbox()
        try engine.submit(request([1, 2], 50000), to: mailbox)
        async let result = collect(mailbox)
        await engine.shutdown(deadline: .milliseconds(20))
        #expect(try await result.reason == .abort)
    }

    @Test func theQueueIsBoundedAtEveryMoment() async throws {
        // The first would run for minutes: it holds the only place to the end.
        let engine = try makeEngine(blocks: 20000, maxSequences: 1, maxLength: 60000, maxWaiting: 3)
        let mailbox = Mailbox()
        try engine.submit(request([1], 50000), to: mailbox)
        while engine.statistics().running == 0, !Task.isCancelled { try await Task.sleep(for: .milliseconds(1)) }
        var taken = 0
        var refused: EngineError?
        // Between steps and within them: no more than three ever wait.
        for _ in 0..<2000 {
            do throws(EngineError) {
                try engine.submit(request([1], 900), to: mailbox)
                taken += 1
            } catch {
                refused = error
            }
        }
        #expect(taken == 3)
        #expect(refused?.code == .queueFull)
        await engine.shutdown(deadline: .milliseconds(1))
    }

    private static let outOfRange: [(String, @Sendable (inout EngineRequest) -> Void)] = [
        ("prompt", { $0.prompt = [] }), ("prompt", { $0.prompt = [64] }), ("prompt", { $0.prompt = [-1] }),
        ("temperature", { $0.sampling.temperature = -0.1 }), ("temperature", { $0.sampling.temperature = .nan }),
        ("temperature", { $0.sampling.temperature = .infinity }), ("top_p", { $0.sampling.topP = 0 }),
        ("top_p", { $0.sampling.topP = 1.01 }), ("top_k", { $0.sampling.topK = -2 }),
        ("min_p", { $0.sampling.minP = 2 }), ("repetition_penalty", { $0.sampling.repetitionPenalty = 0 }),
        ("presence_penalty", { $0.sampling.presencePenalty = 2.5 }),
        ("frequency_penalty", { $0.sampling.frequencyPenalty = .nan }), ("max_tokens", { $0.sampling.maxTokens = 0 }),
        ("min_tokens", { $0.sampling.minTokens = -1 }), ("min_tokens", { $0.sampling.minTokens = 6 }),
        ("logprobs", { $0.sampling.logprobs = 21 }), ("prompt_logprobs", { $0.sampling.promptLogprobs = -1 }),
        ("stop_token_ids", { $0.sampling.stopTokens = [64] }), ("logit_bias", { $0.sampling.logitBias = [64: 0] }),
        ("logit_bias", { $0.sampling.logitBias = [1: 101] }), ("bad_words", { $0.sampling.badWords = [[]] }),
        ("allowed_token_ids", { $0.sampling.allowedTokens = [] }),
        ("allowed_token_ids", { $0.sampling.allowedTokens = [Int32.max] }),
        ("n", { $0.sampleCount = 0 }), ("n", { $0.sampleCount = 129 }), ("n", { $0.sampleIndex = -1 }),
        ("emitted", { $0.emitted = [64] }), ("emitted", { $0.emitted = [1, 2, 3, 4, 5] }),
    ]

    @Test(arguments: outOfRange.indices)
    func refusesWhatIsOutOfRange(index: Int) async throws {
        let (parameter, change) = Self.outOfRange[index]
        let engine = try makeEngine()
        var bad = request([1], 5)
        change(&bad)
        let error = #expect(throws: EngineError.self) { try engine.submit(bad, to: Mailbox()) }
        #expect(error?.parameter == parameter)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aPromptThatFillsTheContextIsRefused() async throws {
        let engine = try makeEngine(maxLength: 8)
        let error = #expect(throws: EngineError.self) {
            try engine.submit(request(Array(repeating: 1, count: 8), 1), to: Mailbox())
        }
        #expect(error?.code == .contextLengthExceeded)
        #expect(try await collect(engine, request(Array(repeating: 1, count: 7), 9)).tokens.count == 1)
        await engine.shutdown(deadline: .seconds(1))
    }
}
