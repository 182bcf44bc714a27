import MartinetEngine
import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import MartinetWorkerProtocol
import Testing

/// What a frontend makes of a worker's files is what the model itself says.
@Suite struct TextSideTests {
    @Test func throughAWorker() async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        let text = try await client.textModel()
        let expected = try TestModels.tinyModel().text
        #expect(text.name == "tiny")
        #expect(text.tokenizer.vocabularySize == expected.tokenizer.vocabularySize)
        #expect(text.chatTemplateSource == expected.chatTemplateSource)
        #expect(text.endTokens == expected.endTokens)
        // And it answers.
        let engine = InferenceEngine(model: text, engine: client)
        let prompt = text.tokenizer.encode("hello", specials: .parse)
        let answer = try await engine.complete(InferenceRequest(id: "1", prompt: prompt, sampling: .greedy))
        let alone = try InferenceEngine(model: TestModels.tinyModel(), options: .forTests)
        let same = try await alone.complete(InferenceRequest(id: "1", prompt: prompt, sampling: .greedy))
        #expect(answer.outputs[0].text == same.outputs[0].text)
        await alone.shutdown(deadline: .zero)
        try await worker.end()
    }
}
