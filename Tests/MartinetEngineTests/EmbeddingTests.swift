import MartinetEngine
import MartinetModels
import MartinetTestKit
import Testing

/// Embeddings over ``HistoryRunner``: whatever the engine does to prompts, each token's state counts once.
@Suite(.timeLimit(.minutes(5))) struct EmbeddingTests {
    private func makeEngine(
        _ pooling: Pooling, blocks: Int = 128, batch: Int = 32, sequences: Int = 8, reuses: Bool = true
    ) throws -> Engine {
        let limits = RunnerLimits(
            maxBatchedTokens: batch, maxLogitRows: sequences, maxModelLength: 64, blockSize: 4, blockCount: blocks)
        return try Engine(
            maxSequences: sequences, maxWaiting: 1000, endTokens: [], seed: 0, reusesPrefixes: reuses,
            pooling: pooling
        ) { HistoryRunner(limits: limits) }
    }

    private func request(_ prompt: [Int32]) -> EngineRequest {
        var request = EngineRequest(id: "test", prompt: prompt, sampling: .greedy)
        request.embeds = true
        return request
    }

    private func embed(_ engine: Engine, _ prompt: [Int32]) async throws -> (embedding: Embedding, cached: Int) {
        let mailbox = Mailbox()
        try engine.submit(request(prompt), to: mailbox)
        guard case .items(let events) = await mailbox.next(), events.count == 3,
            case .prompt(let cached, nil) = events[0].event, case .embedding(let embedding) = events[1].event,
            case .finished(.stop) = events[2].event
        else { throw EngineError(.unavailable, "not the events of an embedding") }
        return (embedding, cached)
    }

    /// What the engine should make of a prompt.
    private func expected(_ prompt: [Int32], _ pooling: Pooling) -> Embedding {
        func state(_ count: Int) -> [Double] {
            (0..<HistoryRunner.hiddenSize).map { Double(HistoryRunner.logit(Array(prompt[..<count]), $0)) }
        }
        switch pooling {
        case .cls: return Embedding(values: state(1).map { Float($0) })
        case .last: return Embedding(values: state(prompt.count).map { Float($0) })
        case .mean:
            var sums = [Double](repeating: 0, count: HistoryRunner.hiddenSize)
            for count in 1...prompt.count { for (index, value) in state(count).enumerated() { sums[index] += value } }
            return Embedding(values: sums.map { Float($0 / Double(prompt.count)) })
        }
    }

    @Test(arguments: Pooling.allCases, [32, 5, 1]) func promptsAreOneVector(pooling: Pooling, batch: Int) async throws {
        // Tight, so that what decodes beside them preempts them.
        let engine = try makeEngine(pooling, blocks: 24, batch: batch)
        var random = SeededGenerator(seed: 7)
        let prompts = (0..<40).map { index in
            // Few different tokens, so that many prompts share prefixes; some fill the context.
            (0..<(index % 8 == 0 ? 64 : Int.random(in: 1...40, using: &random))).map { _ in
                Int32.random(in: 0...1, using: &random)
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, prompt) in prompts.enumerated() {
                group.addTask {
                    if index % 4 == 3 {
                        var sampling = SamplingParameters.greedy
                        sampling.maxTokens = 20
                        let mailbox = Mailbox()
                        try engine.submit(
                            EngineRequest(id: "", prompt: Array(prompt.prefix(30)), sampling: sampling), to: mailbox)
                        var tokens: [Int32] = []
                        while tokens.count < 20, case .items(let items) = await mailbox.next() {
                            for case .token(let token, _) in items.map(\.event) { tokens.append(token) }
                        }
                        #expect(tokens == HistoryRunner.greedy(Array(prompt.prefix(30)), count: 20))
                    } else {
                        #expect(try await embed(engine, prompt).embedding == expected(prompt, pooling))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(engine.statistics().usedBlocks == 0)
        #expect(engine.statistics().finished[.stop] == 30)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func onlyTheLastTokensStateMayComeFromTheCache() async throws {
        for pooling in Pooling.allCases {
            let engine = try makeEngine(pooling)
            let prompt = (0..<23).map { Int32($0) }
            let first = try await embed(engine, prompt)
            let second = try await embed(engine, prompt)
            #expect(first.embedding == second.embedding)
            #expect(second.cached == (pooling == .last ? 20 : 0))
            await engine.shutdown(deadline: .seconds(1))
        }
    }

    @Test func requestsThatMakeNoSenseAreRefused() throws {
        let engine = try makeEngine(.last)
        for change: (inout EngineRequest) -> Void in [
            { $0.sampleCount = 2 }, { $0.emitted = [1] }, { $0.prompt = [] }, { $0.prompt = [64] },
            { $0.prompt = Array(repeating: 1, count: 65) },
        ] {
            var request = request([1, 2])
            change(&request)
            #expect(throws: EngineError.self) { try engine.submit(request, to: Mailbox()) }
        }
        engine.stop()
    }

    @Test func lengthsAndDimensions() {
        let embedding = Embedding(values: [3, 4, 12])
        #expect(embedding.normalized(dimensions: 2).values == [0.6, 0.8])
        let whole: [Float] = [3.0 / 13, 4.0 / 13, 12.0 / 13]
        #expect(embedding.normalized().values == whole)
        #expect(Embedding(values: [0, 0]).normalized().values == [0, 0])
        #expect(embedding.normalized(dimensions: 9).values.count == 3)
        #expect(embedding.normalized(dimensions: -1).values == [])
    }
}
