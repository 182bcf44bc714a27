import Foundation
import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import Testing

/// What `config.json` and GGUF metadata may say, and what is refused by the name of the key.
struct ConfigurationTests {
    /// Opens a tiny directory with some values of its `config.json` changed.
    private func network(_ name: String, changing changes: [String: Any?]) throws -> ModelNetwork {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)")
        try FileManager.default.copyItem(at: Fixtures.url("tiny").appendingPathComponent(name), to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("config.json")
        let parsed = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        var config = try #require(parsed as? [String: Any])
        for (key, value) in changes { config[key] = value }
        try JSONSerialization.data(withJSONObject: config).write(to: file)
        return try ModelNetwork(ModelFile.open(path: folder.path))
    }

    struct Change: CustomTestStringConvertible, @unchecked Sendable {
        // Sendable holds because the values are strings, numbers and dictionaries of them, made once and only read.
        var model = "llama"
        var values: [String: Any?]
        /// What the error's message must name.
        var named: String
        var testDescription: String { "\(values) names \(named)" }
    }

    static let refused = [
        Change(values: ["architectures": ["GPT2LMHeadModel"]], named: "LlamaForCausalLM, MistralForCausalLM, Qwen2"),
        Change(values: ["architectures": nil], named: "architectures"),
        Change(values: ["hidden_size": 0], named: "hidden_size"),
        Change(values: ["hidden_size": -64], named: "hidden_size"),
        Change(values: ["hidden_size": 1e300], named: "hidden_size"),
        Change(values: ["hidden_size": "64"], named: "hidden_size"),
        Change(values: ["hidden_size": nil], named: "hidden_size"),
        Change(values: ["hidden_size": 128], named: "model.embed_tokens.weight"),
        Change(values: ["num_attention_heads": 0], named: "num_attention_heads"),
        Change(values: ["num_attention_heads": Int.max], named: "num_attention_heads"),
        Change(values: ["num_attention_heads": 3, "head_dim": nil], named: "num_attention_heads"),
        Change(values: ["num_key_value_heads": 3], named: "key and value heads"),
        Change(values: ["head_dim": 6], named: "head size"),
        Change(values: ["head_dim": 1 << 40], named: "head_dim"),
        Change(values: ["intermediate_size": 96], named: "model.layers.0.mlp.gate_proj.weight"),
        Change(values: ["num_hidden_layers": 3], named: "model.layers.2.input_layernorm.weight"),
        Change(values: ["num_hidden_layers": 1 << 30], named: "num_hidden_layers"),
        Change(values: ["vocab_size": 321], named: "model.embed_tokens.weight"),
        Change(values: ["max_position_embeddings": 0], named: "max_position_embeddings"),
        Change(values: ["rms_norm_eps": -1], named: "rms_norm_eps"),
        Change(values: ["hidden_act": "relu"], named: "hidden_act"),
        Change(values: ["mlp_bias": true], named: "mlp_bias"),
        Change(values: ["attention_bias": true], named: "model.layers.0.self_attn.q_proj.bias"),
        Change(values: ["sliding_window": 0], named: "sliding_window"),
        Change(values: ["rope_parameters": ["rope_type": "default", "rope_theta": 0]], named: "rope_theta"),
        Change(values: ["rope_parameters": ["rope_type": "yarn", "factor": 4]], named: "yarn"),
        Change(values: ["rope_parameters": ["rope_type": "linear"]], named: "factor"),
        Change(
            model: "llama-rope", values: ["rope_parameters": ["rope_type": "llama3", "factor": 8]],
            named: "low_freq_factor"),
        Change(
            values: [
                "rope_parameters": [
                    "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
                    "original_max_position_embeddings": 32,
                ]
            ], named: "high_freq_factor"),
        Change(
            model: "qwen2", values: ["use_sliding_window": true, "sliding_window": 8, "max_window_layers": 1],
            named: "use_sliding_window"),
    ]

    @Test(arguments: refused) func refuses(_ change: Change) throws {
        let error = #expect(throws: ModelError.self) { _ = try network(change.model, changing: change.values) }
        #expect(error?.message.contains(change.named) == true, "\(error?.message ?? "")")
    }

    @Test func olderConfigurationsMeanTheSame() throws {
        let newer = try network("llama-rope", changing: [:]).configuration
        let older = try network(
            "llama-rope",
            changing: [
                "rope_parameters": nil, "rope_theta": 10000,
                "rope_scaling": [
                    "type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
                    "original_max_position_embeddings": 32,
                ],
            ]
        ).configuration
        #expect(newer == older)
        guard case .llama3(8, 1, 4, 32) = newer.rope.scaling else {
            Issue.record("\(newer.rope)")
            return
        }
    }

    @Test func aMissingOutputMatrixMeansTiedEmbeddings() throws {
        #expect(try !network("llama", changing: [:]).configuration.tiedEmbeddings)
        #expect(try network("llama-rope", changing: ["tie_word_embeddings": false]).configuration.tiedEmbeddings)
    }

    @Test func qwen2IgnoresAWindowThatIsOff() throws {
        let changes: [String: Any?] = ["sliding_window": 8, "use_sliding_window": false]
        #expect(try network("qwen2", changing: changes).configuration.slidingWindow == nil)
        #expect(try network("mistral", changing: [:]).configuration.slidingWindow == 16)
    }

    /// Opens a tiny GGUF file with the number after a key changed.
    private func network(_ key: String, to value: UInt32) throws -> ModelNetwork {
        var data = try Data(contentsOf: Fixtures.url("tiny/llama.gguf"))
        let found = try #require(data.range(of: Data(key.utf8)))
        // The key is followed by the value's type and the value, four bytes each.
        let start = found.upperBound + 4
        withUnsafeBytes(of: value.littleEndian) { data.replaceSubrange(start..<start + 4, with: $0) }
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString).gguf")
        try data.write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try ModelNetwork(ModelFile.open(path: file.path))
    }

    @Test(
        arguments: [
            ("llama.block_count", 0, "llama.block_count"), ("llama.block_count", .max, "llama.block_count"),
            ("llama.block_count", 3, "blk.2.attn_norm.weight"),
            ("llama.embedding_length", 0, "llama.embedding_length"),
            ("llama.embedding_length", 128, "rope_freqs.weight"),
            ("llama.feed_forward_length", 32, "blk.0.ffn_gate.weight"),
            ("llama.attention.head_count", 0, "llama.attention.head_count"),
            ("llama.attention.head_count", 5, "multiple of 5 heads"),
            ("llama.attention.head_count", 4096, "multiple of 4096 heads"),
            ("llama.attention.head_count_kv", 3, "key and value heads"),
            ("llama.attention.head_count_kv", 4, "blk.0.attn_k.weight"),
            ("llama.context_length", 0, "llama.context_length"),
            // The bits of NaN and of a negative number.
            ("llama.rope.freq_base", 0x7FC0_0000, "llama.rope.freq_base"),
            ("llama.attention.layer_norm_rms_epsilon", 0xBF80_0000, "llama.attention.layer_norm_rms_epsilon"),
        ] as [(String, UInt32, String)]) func refusesMetadata(_ key: String, _ value: UInt32, _ named: String) throws
    {
        let error = #expect(throws: ModelError.self) { _ = try network(key, to: value) }
        #expect(error?.code == .invalidModel)
        #expect(error?.message.contains(named) == true, "\(error?.message ?? "")")
    }

    @Test func anUnknownArchitectureNamesThoseKnown() throws {
        let error = #expect(throws: ModelError.self) { _ = try Architecture.named("mamba") }
        #expect(error?.code == .unsupportedArchitecture)
        #expect(error?.message.contains("llama, qwen2") == true)
    }

    @Test func frequenciesAreScaled() {
        func values(_ scaling: RopeConfiguration.Scaling) -> [Double] {
            RotaryFrequencies(RopeConfiguration(theta: 10000, rotarySize: 8, interleaved: false, scaling: scaling))
                .values
        }
        let plain = values(.none)
        #expect(zip(plain, [1, 0.1, 0.01, 0.001]).allSatisfy { abs($0 - $1) < 1e-12 })
        #expect(values(.linear(factor: 4)) == plain.map { $0 / 4 })
        #expect(values(.divisors([1, 2, 4, 8])) == zip(plain, [1, 2, 4, 8]).map { $0 / $1 })
        let scaled = values(.llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 100))
        // Wavelengths of 6 and 63 positions and more: the first is kept, the last two are divided.
        #expect(scaled[0] == plain[0])
        #expect(scaled[1] < plain[1] && scaled[1] > plain[1] / 8)
        #expect(scaled[2...].elementsEqual(plain[2...].map { $0 / 8 }))
    }
}
