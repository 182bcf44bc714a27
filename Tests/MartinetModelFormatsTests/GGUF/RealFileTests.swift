import FoundationEssentials
import MartinetModelFormats
import MartinetTensors
import Testing

/// Files that real tools wrote: fetch the vocabularies with `scripts/test-data.py`, the models with `martinet pull`.
@Suite struct RealFileTests {
    static let testData =
        ProcessInfo.processInfo.environment["MARTINET_TEST_DATA"]
        ?? #filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 } + "/.testdata"

    @Test(arguments: [
        ("llama-bpe", "gpt2", 128_256), ("llama-spm", "llama", 32_000), ("qwen2", "gpt2", 151_936),
        ("phi-3", "llama", 32_064), ("gpt-2", "gpt2", 50_257), ("command-r", "gpt2", 256_000),
        ("deepseek-llm", "gpt2", 102_400), ("falcon", "gpt2", 65_024), ("bert-bge", "bert", 30_522),
    ])
    func vocabulary(name: String, model: String, size: Int) throws {
        let path = "\(Self.testData)/vocabularies/ggml-vocab-\(name).gguf"
        try #require(
            FileManager.default.fileExists(atPath: path), "run scripts/test-data.py, which fetches this vocabulary")
        let file = try GGUFFile(path: path)
        #expect(file.metadata["tokenizer.ggml.model"]?.string == model)
        let tokens = try #require(file.metadata["tokenizer.ggml.tokens"]?.strings)
        #expect(tokens.count == size)
        #expect(tokens.allSatisfy { !$0.utf8.isEmpty })
        #expect(file.metadata["tokenizer.ggml.token_type"]?.ints?.count == size)
        #expect(file.tensors.isEmpty)
        #expect(file.keys.count == file.metadata.count)
    }

    @Test(arguments: [
        (
            "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llama", 30, 576, 49_152, 272,
            ["F32": 61, "Q4_1": 210, "Q8_0": 1] as [String: Int], 134_515_008, "Q4_1"
        ),
        (
            "gemma3-270m/gemma-3-270m-q4_k_m.gguf", "gemma3", 18, 640, 262_144, 236,
            ["Q8_0": 10, "Q5_0": 81, "F32": 109, "Q4_K": 27, "Q6_K": 9], 268_098_176, "Q4_K_M"
        ),
    ])
    func model(
        path: String, architecture: String, layers: Int, width: Int, vocabulary: Int, tensors: Int,
        types: [String: Int],
        parameters: Int, quantisation: String
    ) throws {
        let full = "\(ModelStore().modelsFolder)/\(path)"
        let name = path.prefix { $0 != "/" }
        try #require(FileManager.default.fileExists(atPath: full), "get this model with: martinet pull \(name)")
        // The fastest of a few: other tests run at the same time.
        var fastest = Duration.seconds(60)
        var tokens: [String] = []
        for _ in 0..<3 {
            let start = ContinuousClock.now
            tokens = try #require(try GGUFFile(path: full).metadata["tokenizer.ggml.tokens"]?.strings)
            fastest = min(fastest, ContinuousClock.now - start)
        }
        // Some 10 to 20 ms on an idle machine; the bound leaves room for sanitizers and a busy one.
        #expect(fastest < .seconds(1))
        let file = try GGUFFile(path: full)
        #expect(file.architecture == architecture)
        #expect(file.metadata["\(architecture).block_count"]?.int == layers)
        #expect(tokens.count == vocabulary)
        #expect(file.tensor("token_embd.weight")?.shape == [vocabulary, width])
        #expect(file.tensors.count == tensors)
        #expect(Dictionary(grouping: file.tensors, by: \.view.type.name).mapValues(\.count) == types)
        let facts = ModelFacts(.gguf(file))
        #expect(facts.parameters == parameters)
        #expect(facts.quantisation == quantisation)
    }
}
