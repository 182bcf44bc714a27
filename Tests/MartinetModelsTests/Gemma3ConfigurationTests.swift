import Foundation
import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import Testing

/// The spellings of `config.json` that Gemma 3's directories have had, and what is refused.
struct Gemma3ConfigurationTests {
    /// Opens the tiny model with other text in its `config.json`; the folder is gone afterwards.
    private func network(_ change: (inout [String: Any]) -> Void) throws -> ModelNetwork {
        let files = FileManager.default
        let folder = files.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)")
        try files.copyItem(at: URL(fileURLWithPath: TestModels.tiny("gemma3")), to: folder)
        defer { try? files.removeItem(at: folder) }
        let url = folder.appendingPathComponent("config.json")
        let json = try JSONSerialization.jsonObject(with: Data(contentsOf: url))
        var config = try #require(json as? [String: Any])
        change(&config)
        try JSONSerialization.data(withJSONObject: config).write(to: url)
        return try ModelNetwork(ModelFile.open(path: folder.path))
    }

    @Test func olderSpellingsMeanTheSame() throws {
        let newer = try network { _ in }
        let older = try network { config in
            config["rope_parameters"] = nil
            config["layer_types"] = nil
            config["rope_theta"] = 1_000_000
            config["rope_local_base_freq"] = 10_000
            config["rope_scaling"] = ["rope_type": "linear", "factor": 8]
            config["sliding_window_pattern"] = 2
        }
        #expect(older.configuration == newer.configuration)
        #expect(newer.configuration.windowedLayers == [true, false, true])
        #expect(newer.configuration.rope.scaling == .linear(factor: 8))
        #expect(newer.configuration.windowedRope?.scaling == RopeConfiguration.Scaling.none)
        #expect(newer.configuration.attentionScale == 1 / Float(20).squareRoot())
    }

    @Test func whatTheFileLeavesOutIsGemmas() throws {
        let shape = try network { config in
            for key in ["rope_parameters", "layer_types", "hidden_activation", "query_pre_attn_scalar"] {
                config[key] = nil
            }
        }.configuration
        // The first layer without the window would be the sixth.
        #expect(shape.windowedLayers == [true, true, true])
        #expect(shape.rope.theta == 1_000_000)
        #expect(shape.windowedRope?.theta == 10_000)
        #expect(shape.attentionScale == 0.0625)
    }

    @Test(arguments: [
        ("layer_types", #"["sliding_attention","chunked_attention","full_attention"]"#),
        ("layer_types", #"["sliding_attention"]"#),
        ("hidden_activation", #""gelu""#),
        ("final_logit_softcapping", "30"),
        ("attn_logit_softcapping", "50.0"),
        ("use_bidirectional_attention", "true"),
        ("query_pre_attn_scalar", "0"),
        ("rope_parameters", #"{"sliding_attention":{"rope_type":"default","partial_rotary_factor":0.5}}"#),
        ("rope_parameters", #"{"full_attention":{"rope_type":"yarn"}}"#),
    ]) func refuses(_ key: String, _ value: String) throws {
        let replacement = try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
        let error = #expect(throws: ModelError.self) { _ = try network { $0[key] = replacement } }
        #expect(error?.message.contains("config.json") == true)
    }
}
