import Foundation
import MartinetModels
import MartinetTestKit
import Testing

/// GGUF files whose metadata or tensors lie.
struct HostileGGUFTests {
    /// A metadata value; `nil` removes it.
    struct Lie: CustomTestStringConvertible, Sendable {
        var key: String
        var value: GGUFDocument.Content?
        var code = "invalid_model"
        var mention: String?
        var testDescription: String { "\(key) = \(value.map { "\($0)" } ?? "absent")" }
    }

    private static func lies(_ key: String, _ values: [GGUFDocument.Content?]) -> [Lie] {
        values.map { Lie(key: key, value: $0) }
    }

    private static let noCount: [GGUFDocument.Content] = [
        .uint32(0), .int32(-1), .uint32(.max), .uint64(.max), .float32(64), .float32(.nan), .string("64"), .bool(1),
        .int32s([64]), .int32s([]),
    ]

    static let numbers: [Lie] =
        lies("llama.embedding_length", noCount + [nil])
        + lies("llama.feed_forward_length", noCount + [nil])
        + lies("llama.block_count", noCount + [nil])
        + lies("llama.context_length", noCount + [nil])
        + lies("llama.attention.head_count", noCount + [nil])
        + lies("llama.attention.head_count_kv", noCount + [.uint32(3), .uint32(8)])
        + lies("llama.attention.key_length", noCount + [.uint32(18), .uint32(1_000_000_000)])
        + lies("llama.attention.value_length", noCount + [.uint32(8)])
        + lies("llama.rope.dimension_count", noCount + [.uint32(7), .uint32(32)])
        + lies("llama.attention.sliding_window", [.int32(-1), .uint64(.max), .string("16"), .float32(16)])
        + lies(
            "llama.attention.layer_norm_rms_epsilon",
            [nil, .float32(-1), .float32(2), .float32(.nan), .float32(.infinity), .string("1e-5")])
        + lies(
            "llama.rope.freq_base",
            [.float32(0), .float32(-1), .float32(.nan), .float32(.infinity), .string("10000"), .bool(1)])
        + lies("llama.expert_count", [.string("0"), .int32(-1)])
        + lies("general.architecture", [nil, .uint32(1), .strings(["llama"])])
        + [
            Lie(key: "llama.expert_count", value: .uint32(8), code: "unsupported_architecture"),
            Lie(
                key: "general.architecture", value: .string("mamba"), code: "unsupported_architecture",
                mention: "\"mamba\""),
            Lie(key: "general.architecture", value: .string(""), code: "unsupported_architecture", mention: "\"\""),
            Lie(key: "general.architecture", value: .string("qwen2"), mention: "\"qwen2.embedding_length\""),
            Lie(key: "general.alignment", value: .uint32(0), code: "invalid", mention: "general.alignment"),
            Lie(key: "general.alignment", value: .uint32(48), code: "invalid", mention: "general.alignment"),
            Lie(key: "general.alignment", value: .uint32(.max), code: "invalid", mention: "general.alignment"),
            // Counts that are possible, but not with these tensors.
            Lie(key: "llama.embedding_length", value: .uint32(128), mention: "\"rope_freqs.weight\""),
            Lie(key: "llama.attention.key_length", value: .uint32(8), mention: "\"rope_freqs.weight\""),
            Lie(key: "llama.feed_forward_length", value: .uint32(128), mention: "\"blk.0.ffn_gate.weight\""),
            Lie(key: "llama.block_count", value: .uint32(3), mention: "\"blk.2.attn_norm.weight\""),
            Lie(key: "llama.block_count", value: .uint32(4096), mention: "\"blk.2.attn_norm.weight\""),
            Lie(key: "llama.attention.head_count_kv", value: .uint32(4), mention: "\"blk.0.attn_k.weight\""),
            Lie(key: "llama.attention.head_count", value: .uint32(8), mention: "\"rope_freqs.weight\""),
            Lie(key: "llama.rope.dimension_count", value: .uint32(8), mention: "\"rope_freqs.weight\""),
        ]

    static let tokenizers: [Lie] = [
        Lie(key: "tokenizer.ggml.model", value: nil, mention: "tokenizer.ggml.model"),
        Lie(key: "tokenizer.ggml.model", value: .string("rwkv"), mention: "\"rwkv\""),
        Lie(key: "tokenizer.ggml.model", value: .uint32(1), mention: "tokenizer.ggml.model"),
        Lie(key: "tokenizer.ggml.tokens", value: nil, mention: "tokenizer.ggml.tokens"),
        Lie(key: "tokenizer.ggml.tokens", value: .strings([]), mention: "tokenizer.ggml.tokens"),
        Lie(key: "tokenizer.ggml.tokens", value: .int32s([1]), mention: "tokenizer.ggml.tokens"),
        Lie(key: "tokenizer.ggml.tokens", value: .strings(["a"]), mention: "token"),
        Lie(key: "tokenizer.ggml.token_type", value: .int32s([1]), mention: "token types"),
        Lie(key: "tokenizer.ggml.merges", value: .strings(["a"]), mention: "merge"),
        Lie(key: "tokenizer.ggml.merges", value: .strings(["no such"]), mention: "merge"),
        Lie(key: "tokenizer.ggml.pre", value: .string("odd"), mention: "tokenizer.ggml.pre"),
        Lie(key: "tokenizer.ggml.bos_token_id", value: .uint32(.max), mention: "beginning-of-text"),
        Lie(key: "tokenizer.ggml.eos_token_id", value: .int32(-1), mention: "end-of-text"),
    ]

    static let scalings: [Lie] =
        lies(
            "llama.rope.scaling.factor", [.float32(0), .float32(-8), .float32(.nan), .float32(.infinity), .string("8")])
        + lies("llama.rope.scale_linear", [.float32(0), .float32(.infinity)])
        + lies("llama.rope.scaling.type", [.uint32(1), .strings(["linear"])])
        + ["yarn", "longrope", ""].map {
            Lie(key: "llama.rope.scaling.type", value: .string($0), code: "unsupported_architecture")
        }

    private func check(_ document: GGUFDocument, _ lie: Lie) throws {
        let folder = try ModelCopy()
        let path = try folder.write(document.bytes, as: "model.gguf")
        let mention = lie.mention ?? "\"\(lie.key)\""
        try Offence(testDescription: lie.testDescription, code: lie.code, mention: mention).check {
            _ = try LoadedModel.load(path: path)
        }
    }

    @Test(arguments: numbers + tokenizers) func metadata(_ lie: Lie) throws {
        var document = try GGUFDocument(tiny: "llama.gguf")
        document.set(lie.key, lie.value)
        try check(document, lie)
    }

    @Test(arguments: scalings) func scaling(_ lie: Lie) throws {
        var document = try GGUFDocument(tiny: "llama.gguf")
        // The scaling's keys count only where the file brings no divisors.
        document.tensors.removeAll { $0.name == "rope_freqs.weight" }
        document.set(lie.key, lie.value)
        try check(document, lie)
    }

    /// Every tensor missing, of another shape, and of a type that is not read.
    @Test func tensors() throws {
        for file in ["llama.gguf", "qwen2.gguf"] {
            let good = try GGUFDocument(tiny: file)
            // Without these a file says something else, which is no lie.
            let optional: Set<String> = ["rope_freqs.weight", "output.weight", "blk.0.attn_q.bias"]
            for (index, tensor) in good.tensors.enumerated() {
                let mention = "\"\(tensor.name)\""
                if !optional.contains(tensor.name) {
                    var document = good
                    document.tensors.remove(at: index)
                    try check(document, Lie(key: tensor.name, mention: mention))
                }
                var document = good
                // The same number of bytes in another shape.
                document.tensors[index].dimensions =
                    tensor.dimensions.count == 1
                    ? [tensor.dimensions[0] / 2, 2] : [tensor.dimensions[0], tensor.dimensions[1] / 2, 2]
                try check(document, Lie(key: tensor.name, mention: mention))
                document = good
                document.tensors[index].type = 9
                try check(document, Lie(key: tensor.name, code: "unsupported", mention: "'\(tensor.name)'"))
            }
        }
    }

    @Test(arguments: [0, -1, Float.nan, .infinity]) func divisors(_ value: Float) throws {
        var document = try GGUFDocument(tiny: "llama.gguf")
        let tensor = try #require(document.tensors.first { $0.name == "rope_freqs.weight" })
        withUnsafeBytes(of: value) { bytes in
            for (index, byte) in bytes.enumerated() { document.data[Int(tensor.offset) + 4 + index] = byte }
        }
        try check(document, Lie(key: "", mention: "\"rope_freqs.weight\""))
    }

    @Test func theFilesWithoutALieAreGood() throws {
        let folder = try ModelCopy()
        for name in ["llama.gguf", "qwen2.gguf"] {
            let document = try GGUFDocument(tiny: name)
            #expect(document.bytes == (try Array(Data(contentsOf: URL(filePath: TestModels.tiny(name))))))
            let path = try folder.write(document.bytes, as: name)
            #expect(try LoadedModel.load(path: path).configuration.vocabularySize == 320)
        }
    }
}
