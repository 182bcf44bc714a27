import MartinetEngine
import MartinetModels
import MartinetTestKit
import Testing

/// Guessing ahead changes no token: the same requests with and without it, over text that mostly repeats itself.
@Suite(.timeLimit(.minutes(5))) struct SpeculationTests {
    private struct Setup: CustomTestStringConvertible {
        var name: String
        var blocks = 256
        var blockSize = 4
        var maxTokens = 64
        var maxSequences = 4
        var reuses = true
        var speculation = Speculation.promptLookup()
        var testDescription: String { name }
    }

    private static let setups = [
        Setup(name: "plain"),
        Setup(name: "one sequence at a time", maxSequences: 1),
        Setup(name: "many at once", maxSequences: 40),
        Setup(name: "no prefix reuse", reuses: false),
        Setup(name: "small chunks", maxTokens: 6),
        Setup(name: "no room for drafts", maxTokens: 1),
        Setup(name: "preemption", blocks: 24, maxSequences: 8),
        Setup(name: "preemption, blocks of one token", blocks: 96, blockSize: 1, maxSequences: 8),
        Setup(name: "preemption without reuse", blocks: 22, maxSequences: 8, reuses: false),
        Setup(name: "long drafts", speculation: .promptLookup(maxDraftTokens: 32, matching: 1...2)),
        Setup(name: "long matches", speculation: .promptLookup(maxDraftTokens: 2, matching: 4...16)),
    ]

    private func makeEngine(_ setup: Setup, speculates: Bool, endTokens: Set<Int32> = [63]) throws -> Engine {
        let runner = HistoryRunner(
            limits: RunnerLimits(
                maxBatchedTokens: setup.maxTokens, maxLogitRows: max(32, setup.maxSequences), maxModelLength: 80,
                blockSize: setup.blockSize, blockCount: setup.blocks))
        runner.repetition = 6
        nonisolated(unsafe) let confined = runner
        return try Engine(
            maxSequences: setup.maxSequences, maxWaiting: 1000, endTokens: endTokens, seed: 0,
            reusesPrefixes: setup.reuses, speculation: speculates ? setup.speculation : .off
        ) { confined }
    }

    private struct Answer: Hashable {
        var tokens: [Int32] = []
        var logprobs: [TokenLogprobs?] = []
        var promptLogprobs: [TokenLogprobs?]?
        var reason: FinishReason?
    }

    private func answer(_ engine: Engine, _ request: EngineRequest) async throws -> Answer {
        let mailbox = Mailbox()
        try engine.submit(request, to: mailbox)
        var answer = Answer()
        while answer.reason == nil {
            switch await mailbox.next() {
            case .closed: return answer
            case .failed(let error): throw error
            case .items(let items):
                for item in items {
                    #expect(answer.reason == nil, "an event behind the last one")
                    switch item.event {
                    case .prompt(_, let logprobs): answer.promptLogprobs = logprobs
                    case .token(let token, let logprobs):
                        answer.tokens.append(token)
                        answer.logprobs.append(logprobs)
                    case .finished(let reason): answer.reason = reason
                    case .embedding: Issue.record("nobody asked for an embedding")
                    }
                }
            }
        }
        return answer
    }

    /// Every way to choose tokens, several prompts each.
    private static let requests: [EngineRequest] = {
        let changes: [(inout SamplingParameters) -> Void] = [
            { _ in },
            { ($0.temperature, $0.seed) = (0.7, 3) },
            { ($0.temperature, $0.seed, $0.topK, $0.topP) = (1.2, 4, 20, 0.9) },
            { ($0.temperature, $0.seed, $0.minP) = (1, 5, 0.02) },
            { $0.repetitionPenalty = 1.2 },
            { ($0.presencePenalty, $0.frequencyPenalty, $0.temperature, $0.seed) = (0.5, 0.1, 0.8, 6) },
            { ($0.logitBias, $0.logprobs) = ([1: 3, 2: -5], 3) },
            { ($0.badWords, $0.logprobs) = ([[1, 2], [3]], 0) },
            { $0.allowedTokens = [1, 2, 3, 4, 5, 63] },
            { ($0.stopTokens, $0.minTokens) = ([1, 2, 3, 4], 9) },
            { ($0.ignoreEndOfText, $0.promptLogprobs) = (true, 2) },
            { ($0.temperature, $0.seed, $0.minTokens, $0.logprobs) = (1, 7, 30, 2) },
        ]
        var requests: [EngineRequest] = []
        for (index, change) in changes.enumerated() {
            for variant in 0..<3 {
                // The end comes at every place of a draft.
                var sampling = SamplingParameters.greedy
                sampling.maxTokens = 31 + (index * 3 + variant) % 9
                change(&sampling)
                let prompt = (0..<(4 + index + variant * 8)).map { Int32($0 * $0 % 5 + variant * 7) }
                requests.append(EngineRequest(id: "test", prompt: prompt, sampling: sampling, sampleIndex: variant))
            }
        }
        return requests
    }()

    private func answers(_ engine: Engine) async throws -> [Answer] {
        try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
            for (index, request) in Self.requests.enumerated() {
                group.addTask { (index, try await answer(engine, request)) }
            }
            return try await group.reduce(into: Array(repeating: Answer(), count: Self.requests.count)) {
                $0[$1.0] = $1.1
            }
        }
    }

    private func waitUntilIdle(_ engine: Engine) async throws -> EngineStatistics {
        for _ in 0..<2000 {
            let statistics = engine.statistics()
            if statistics.running == 0, statistics.waiting == 0, statistics.usedBlocks == 0 { return statistics }
            try await Task.sleep(for: .milliseconds(2))
        }
        Issue.record("the engine did not become idle: \(engine.statistics())")
        return engine.statistics()
    }

    @Test(arguments: setups) private func everyStreamIsTheSameWithAndWithout(setup: Setup) async throws {
        let plain = try makeEngine(Setup(name: "reference"), speculates: false)
        let expected = try await answers(plain)
        #expect(plain.statistics().draftTokens == 0)
        await plain.shutdown(deadline: .seconds(1))
        #expect(expected.contains { $0.reason == .stop } && expected.contains { $0.reason == .length })

        let engine = try makeEngine(setup, speculates: true)
        let found = try await answers(engine)
        for (index, (found, expected)) in zip(found, expected).enumerated() {
            #expect(found == expected, "request \(index)")
        }
        let statistics = try await waitUntilIdle(engine)
        await engine.shutdown(deadline: .seconds(1))
        if setup.maxTokens == 1 {
            #expect(statistics.draftTokens == 0)
        } else {
            #expect(statistics.drafts > 0)
            #expect(statistics.acceptedDraftTokens > 0)
            #expect(statistics.acceptedDraftTokens < statistics.draftTokens)
        }
        #expect(statistics.generatedTokens == UInt64(expected.reduce(0) { $0 + $1.tokens.count }))
        if setup.name.hasPrefix("preemption") { #expect(statistics.preemptions > 0) }
    }

    /// A conversation's next turn finds as much in the prefix cache, and nothing that was only guessed.
    @Test func thePrefixCacheHoldsWhatWasVerified() async throws {
        var cached: [[UInt64]] = []
        for speculates in [false, true] {
            let engine = try makeEngine(Setup(name: "turns", blockSize: 2), speculates: speculates)
            var counts: [UInt64] = []
            for start in 0..<8 {
                var prompt = (0..<12).map { Int32(($0 + start) % 5) }
                for turn in 0..<3 {
                    var sampling = SamplingParameters.greedy
                    sampling.maxTokens = 9 + start + turn
                    let reply = try await answer(engine, EngineRequest(id: "", prompt: prompt, sampling: sampling))
                    prompt += reply.tokens + [Int32(turn)]
                    counts.append(try await waitUntilIdle(engine).cachedPromptTokens)
                }
            }
            if speculates { #expect(engine.statistics().acceptedDraftTokens > 0) }
            cached.append(counts)
            await engine.shutdown(deadline: .seconds(1))
        }
        #expect(cached[0] == cached[1])
        #expect(cached[0].last ?? 0 > 0)
    }

    @Test func clientsThatLeaveGiveTheirBlocksBack() async throws {
        let engine = try makeEngine(Setup(name: "leaving", blocks: 64, maxSequences: 8), speculates: true)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<40 {
                group.addTask {
                    var sampling = SamplingParameters.greedy
                    (sampling.maxTokens, sampling.ignoreEndOfText) = (60, true)
                    let prompt = (0..<(8 + index % 7)).map { Int32(($0 * index) % 5) }
                    let mailbox = Mailbox()
                    let ticket = try engine.submit(
                        EngineRequest(id: "", prompt: prompt, sampling: sampling), to: mailbox)
                    if index % 3 > 0 { _ = await mailbox.next() }
                    ticket.cancel()
                }
            }
            try await group.waitForAll()
        }
        _ = try await waitUntilIdle(engine)
        await engine.shutdown(deadline: .seconds(1))
    }
}
