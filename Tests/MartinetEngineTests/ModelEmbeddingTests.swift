import MartinetEngine
import MartinetModels
import MartinetTestKit
import Testing

/// Embeddings of a model of random weights, through the whole engine.
@Suite(.timeLimit(.minutes(5))) struct ModelEmbeddingTests {
    private func makeEngine(_ pooling: Pooling?, _ change: (inout EngineOptions) -> Void = { _ in }) throws
        -> InferenceEngine
    {
        var options = EngineOptions()
        options.kvCacheBytes = 64 << 20
        options.maxNumSeqs = 16
        options.pooling = pooling
        change(&options)
        return try InferenceEngine(model: TestModels.tinyModel(), options: options)
    }

    private let prompts = (0..<12).map { index in (0..<(1 + index * 17)).map { Int32(($0 * 31 + index) % 300) } }

    @Test(arguments: Pooling.allCases) func chunkedBatchedAndAloneAreTheSame(_ pooling: Pooling) async throws {
        let alone = try makeEngine(pooling) { $0.enablePrefixCaching = false }
        var expected: [Embedding] = []
        for prompt in prompts { expected.append(try await alone.embed(prompt)) }
        await alone.shutdown(deadline: .seconds(1))
        #expect(Set(expected).count == prompts.count)
        for embedding in expected {
            #expect(embedding.values.count == 64)
            let length = embedding.values.reduce(0) { $0 + $1 * $1 }
            #expect(abs(length - 1) < 1e-5)
        }
        for (name, tokens, threads) in [("chunks of 5", 5, 2), ("chunks of 64", 64, 1)] {
            let engine = try makeEngine(pooling) { ($0.maxNumBatchedTokens, $0.threads) = (tokens, threads) }
            for _ in 0..<2 {
                try await withThrowingTaskGroup(of: (Int, Embedding).self) { group in
                    for (index, prompt) in prompts.enumerated() {
                        group.addTask { (index, try await engine.embed(prompt)) }
                    }
                    for try await (index, embedding) in group { #expect(embedding == expected[index], "\(name)") }
                }
            }
            await engine.shutdown(deadline: .seconds(1))
        }
    }

    @Test func theModelSaysHow() async throws {
        let (model, last, mean) = (try makeEngine(nil), try makeEngine(.last), try makeEngine(.mean))
        let embedding = try await model.embed(prompts[5])
        #expect(try await last.embed(prompts[5]) == embedding)
        #expect(try await mean.embed(prompts[5]) != embedding)
        for engine in [model, last, mean] { await engine.shutdown(deadline: .seconds(1)) }
    }

    @Test func anEngineThatShutsDownGivesNone() async throws {
        let engine = try makeEngine(nil)
        await engine.shutdown(deadline: .zero)
        await #expect(throws: EngineError.self) { try await engine.embed([1]) }
    }
}
