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
            ["F32": 61, "Q4_1": 210, "Q8_0": 1] as [String: Int]
        ),
        (
            "gemma3-270m/gemma-3-270m-q4_k_m.gguf", "gemma3", 18, 640, 262_144, 236, [:]
        ),
    ])
    func model(
        path: String, architecture: String, layers: Int, width: Int, vocabulary: Int, tensors: Int, types: [String: Int]
    ) throws {
        let home =
            ProcessInfo.processInfo.environment["MARTINET_HOME"]
            ?? (ProcessInfo.processInfo.environment["HOME"] ?? "") + "/.cache/martinet"
        let full = "\(home)/models/\(path)"
        let clock = ContinuousClock()
        let start = clock.now
        let file = try GGUFFile(path: full)
        let opened = clock.now - start
        let tokens = try #require(file.metadata["tokenizer.ggml.tokens"]?.strings)
        let decoded = clock.now - start
        print("\(path): opened in \(opened), with \(tokens.count) tokens in \(decoded)")
        #expect(file.architecture == architecture)
        #expect(file.metadata["\(architecture).block_count"]?.int == layers)
        #expect(tokens.count == vocabulary)
        #expect(file.tensor("token_embd.weight")?.shape == [vocabulary, width])
        #expect(file.tensors.count == tensors)
        let counts = Dictionary(grouping: file.tensors, by: \.view.type.name).mapValues(\.count)
        print(counts)
    }
}
