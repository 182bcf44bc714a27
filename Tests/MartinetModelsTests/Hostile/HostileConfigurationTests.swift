import Foundation
import MartinetModels
import MartinetTestKit
import Testing

/// Hugging Face directories whose `config.json`, weights or tokenizer lie.
struct HostileConfigurationTests {
    /// A member of `config.json`, as text; `nil` removes it.
    struct Lie: CustomTestStringConvertible, Sendable {
        var model = "llama"
        var key: String
        var value: String?
        var code = "invalid_model"
        var mention: String?
        var testDescription: String { "\(model): \(key) = \(value ?? "absent")" }
    }

    private static func lies(_ key: String, _ values: [String?]) -> [Lie] { values.map { Lie(key: key, value: $0) } }

    private static let noCount = ["-1", "0", "1.5", "1e300", "9223372036854775808", "\"64\"", "[64]", "true", "NaN"]

    static let numbers: [Lie] =
        lies("hidden_size", noCount + ["1000000000000", nil])
        + lies("intermediate_size", noCount + ["1000000000000", nil])
        + lies("num_attention_heads", noCount + ["1000000000", nil])
        + lies("num_key_value_heads", noCount + ["3", "8", "1000000000"])
        + lies("head_dim", noCount + ["7", "6", "1000000000"])
        + lies("num_hidden_layers", noCount + ["1000000000", nil])
        + lies("vocab_size", noCount + ["1000000000000", nil])
        + lies("max_position_embeddings", noCount + ["1000000000000000000"])
        + lies("rms_norm_eps", ["-1e-5", "2", "1e400", "NaN", "Infinity", "\"nan\"", "[]", "true"])
        + lies("tie_word_embeddings", ["\"false\"", "0", "[]"])
        + lies("attention_bias", ["\"true\"", "1"])
        + lies("mlp_bias", ["true", "1"])
        + lies("hidden_act", ["\"relu\"", "7"])
        + lies("architectures", [nil, "[]", "7", "[7]", "{}"])
        + lies("sliding_window", ["-1", "0", "1000000000000", "\"16\"", "1.5"])
        + [
            // Counts that are possible, but not with these tensors.
            Lie(key: "hidden_size", value: "32", mention: "model.embed_tokens.weight"),
            Lie(key: "intermediate_size", value: "65", mention: "mlp.gate_proj.weight"),
            Lie(key: "num_attention_heads", value: "8", mention: "self_attn.q_proj.weight"),
            Lie(key: "num_key_value_heads", value: "4", mention: "self_attn.k_proj.weight"),
            Lie(key: "head_dim", value: "16", mention: "self_attn.q_proj.weight"),
            Lie(key: "head_dim", value: nil, mention: "self_attn.q_proj.weight"),
            Lie(key: "num_hidden_layers", value: "3", mention: "model.layers.2."),
            Lie(key: "num_hidden_layers", value: "4096", mention: "model.layers.2."),
            Lie(key: "vocab_size", value: "321", mention: "model.embed_tokens.weight"),
            Lie(key: "vocab_size", value: "16777216", mention: "model.embed_tokens.weight"),
            Lie(key: "attention_bias", value: "true", mention: "self_attn.q_proj.bias"),
            Lie(model: "mistral", key: "tie_word_embeddings", value: "false", mention: "lm_head.weight"),
            Lie(model: "qwen2", key: "num_attention_heads", value: "5", mention: "\"num_attention_heads\""),
            Lie(model: "qwen2", key: "use_sliding_window", value: "1", mention: "\"use_sliding_window\""),
            Lie(
                key: "architectures", value: "[\"GPT2LMHeadModel\"]", code: "unsupported_architecture",
                mention: "GPT2LMHeadModel"),
            Lie(key: "architectures", value: "[\"\"]", code: "unsupported_architecture", mention: "LlamaForCausalLM"),
        ]

    /// Members of `rope_parameters`, and the same as `rope_scaling`.
    static let rotations: [Lie] =
        lies("rope_theta", ["0", "-10000", "1e400", "NaN", "\"10000\"", "1e-300"])
        + lies("factor", [nil, "0", "-8", "1e400", "\"8\"", "[]"])
        + lies("low_freq_factor", [nil, "0", "4", "-1"])
        + lies("high_freq_factor", [nil, "0", "1e400", "true"])
        + lies("original_max_position_embeddings", [nil, "0", "-1", "1e18", "1.5"])
        + lies("partial_rotary_factor", ["0", "-1", "2", "0.07", "\"1\""])
        + lies("rope_type", ["7", "[\"llama3\"]"])
        + ["yarn", "dynamic", "longrope", "su", ""].map {
            Lie(key: "rope_type", value: "\"\($0)\"", code: "unsupported_architecture")
        }

    private func check(_ lie: Lie, _ copy: ModelCopy) throws {
        let mention = lie.mention ?? "\"\(lie.key)\""
        try Offence(testDescription: lie.testDescription, code: lie.code, mention: mention).check {
            _ = try LoadedModel.load(path: copy.path)
        }
    }

    @Test(arguments: numbers) func configuration(_ lie: Lie) throws {
        let copy = try ModelCopy(of: lie.model)
        var config = try RawObject(try copy.bytes(of: "config.json"))
        config.members[lie.key] = lie.value
        try copy.write(config.bytes, as: "config.json")
        try check(lie, copy)
    }

    @Test(arguments: rotations, ["rope_parameters", "rope_scaling"])
    func rotation(_ lie: Lie, _ object: String) throws {
        let copy = try ModelCopy(of: "llama-rope")
        var config = try RawObject(try copy.bytes(of: "config.json"))
        let removed = config.members.removeValue(forKey: "rope_parameters")
        let given = try #require(removed)
        var rotation = try RawObject(Array(given.utf8))
        rotation.members[lie.key] = lie.value
        config.members[object] = String(decoding: rotation.bytes, as: UTF8.self)
        try copy.write(config.bytes, as: "config.json")
        try check(lie, copy)
    }

    @Test(arguments: ["7", "\"linear\"", "[]", "true"]) func rotationIsAnObject(_ value: String) throws {
        let copy = try ModelCopy(of: "llama")
        var config = try RawObject(try copy.bytes(of: "config.json"))
        config.members["rope_parameters"] = value
        try copy.write(config.bytes, as: "config.json")
        try check(Lie(key: "rope_parameters", value: value), copy)
    }

    @Test(arguments: ["", "{", "[]", "7", "null", "{\"hidden_size\": }", "\u{0}"])
    func notAnObject(_ text: String) throws {
        let copy = try ModelCopy(of: "llama")
        try copy.write(text.utf8, as: "config.json")
        try Offence(testDescription: text, code: "invalid", mention: "config.json").check {
            _ = try LoadedModel.load(path: copy.path)
        }
    }

    /// Text of the safetensors header that is replaced by other text of the same length.
    struct Edit: CustomTestStringConvertible, Sendable {
        var from: String
        var to: String
        var code = "invalid_model"
        var mention: String
        var testDescription: String { "\(from) → \(to)" }
    }

    static let edits = [
        Edit(from: "\"model.norm.weight\"", to: "\"model.nerm.weight\"", mention: "\"model.norm.weight\" is missing"),
        Edit(
            from: "\"model.embed_tokens.weight\"", to: "\"model.embed_tokens.wait__\"",
            mention: "\"model.embed_tokens.weight\" is missing"),
        Edit(from: ".0.self_attn.v_proj", to: ".9.self_attn.v_proj", mention: "model.layers.0.self_attn.v_proj.weight"),
        Edit(from: "[320,64]", to: "[64,320]", mention: "model.embed_tokens.weight"),
        Edit(from: "[64,64]", to: "[4096] ", mention: "mlp.down_proj.weight"),
        Edit(from: "[64,64]", to: "[64,63]", code: "invalid", mention: "mlp.down_proj.weight"),
        Edit(from: "[64]", to: "[-4]", code: "invalid", mention: "input_layernorm.weight"),
        Edit(
            from: "\"F16\",\"shape\":[320,64]", to: "\"I16\",\"shape\":[320,64]", code: "unsupported",
            mention: "embed_tokens"),
    ]

    @Test(arguments: edits) func weights(_ edit: Edit) throws {
        let copy = try ModelCopy(of: "mistral")
        var data = Data(try copy.bytes(of: "model.safetensors"))
        let range = try #require(data.range(of: Data(edit.from.utf8)))
        try #require(edit.from.utf8.count == edit.to.utf8.count)
        data.replaceSubrange(range, with: Data(edit.to.utf8))
        try copy.write(data, as: "model.safetensors")
        try Offence(testDescription: "", code: edit.code, mention: edit.mention).check {
            _ = try LoadedModel.load(path: copy.path)
        }
    }

    @Test func filesThatAreMissing() throws {
        let files = [
            ("config.json", "not_a_model"), ("tokenizer.json", "invalid_model"), ("model.safetensors", "not_found"),
        ]
        for (file, code) in files {
            let copy = try ModelCopy(of: "mistral")
            try copy.remove(file)
            let mention = file == "config.json" ? "holds no GGUF file and no config.json" : file
            try Offence(testDescription: file, code: code, mention: mention).check {
                _ = try LoadedModel.load(path: copy.path)
            }
        }
    }

    @Test(arguments: ["", "{}", "{\"model\":{\"vocab\":{\"a\":1e18}}}", "{\"model\":{\"vocab\":[]}}", "nul"])
    func tokenizer(_ text: String) throws {
        let copy = try ModelCopy(of: "llama")
        try copy.write(text.utf8, as: "tokenizer.json")
        try Offence(testDescription: text, code: "invalid_model", mention: "tokenizer.json").check {
            _ = try LoadedModel.load(path: copy.path)
        }
    }

    @Test func theModelWithoutALieIsGood() throws {
        for name in ["llama", "llama-rope", "mistral", "qwen2"] {
            let copy = try ModelCopy(of: name)
            try copy.write(RawObject(copy.bytes(of: "config.json")).bytes, as: "config.json")
            #expect(try LoadedModel.load(path: copy.path).configuration.vocabularySize == 320)
        }
    }
}
