import FoundationEssentials
import MartinetModelFormats
import MartinetModels
import MartinetTensors
import Testing

/// Which type each tensor gets, and what is refused.
struct QuantizationRulesTests {
    let folder: ModelCopy

    init() throws { folder = try ModelCopy() }

    private var output: String { folder.path + "/out.gguf" }

    /// A file of tensors that need not make a model.
    private func source(
        _ tensors: [(name: String, shape: [Int])], _ value: (Int) -> Float = { Float($0 % 13) - 6 }
    ) throws -> String {
        let path = folder.path + "/source.gguf"
        let writer = try GGUFFileWriter(
            path: path,
            metadata: [
                ("general.architecture", .string("other")), ("split.count", .uint32(0)),
                ("general.file_type", .uint32(0)), ("quantize.imatrix.file", .string("x")), ("mine", .bool(true)),
            ],
            tensors: tensors.map { GGUFTensorDescription(name: $0.name, type: .float32, shape: $0.shape) },
            replaces: true)
        for tensor in tensors {
            let floats = (0..<tensor.shape.reduce(1, *)).map(value)
            try floats.withUnsafeBytes { try writer.write($0) }
        }
        try writer.finish()
        return path
    }

    private func types(_ tensors: [(name: String, shape: [Int])], _ options: QuantizationOptions) throws -> [String] {
        var options = options
        options.replaces = true
        _ = try ModelQuantizer.quantize(ModelFile.open(path: source(tensors)), to: output, options: options)
        return try GGUFFile(path: output).tensors.map(\.view.type.name)
    }

    private static let matrices = ["token_embd", "output", "blk.0.attn_v", "blk.0.attn_q"].map {
        (name: $0 + ".weight", shape: [2, 256])
    }

    @Test(arguments: [
        (QuantizationType.q4_0, ["Q4_0", "Q6_K", "Q4_0", "Q4_0"]), (.q8_0, ["Q8_0", "Q8_0", "Q8_0", "Q8_0"]),
        (.f16, ["F16", "F16", "F16", "F16"]), (.q4_K, ["Q4_K", "Q6_K", "Q4_K", "Q4_K"]),
        (.q6_K, ["Q6_K", "Q6_K", "Q6_K", "Q6_K"]), (.bf16, ["BF16", "BF16", "BF16", "BF16"]),
    ])
    func theOutputGetsMore(_ type: QuantizationType, _ expected: [String]) throws {
        #expect(try types(Self.matrices, QuantizationOptions(type: type)) == expected)
    }

    @Test func anEmbeddingThatIsTheOutputToo() throws {
        let tied = Self.matrices.filter { $0.name != "output.weight" }
        #expect(try types(tied, QuantizationOptions(type: .q4_K)) == ["Q6_K", "Q4_K", "Q4_K"])
        #expect(try types(tied, QuantizationOptions(type: .q4_K, outputType: .q8_0)) == ["Q8_0", "Q4_K", "Q4_K"])
        #expect(try types(tied, QuantizationOptions(type: .q4_K, embeddingType: .q5_0)) == ["Q5_0", "Q4_K", "Q4_K"])
    }

    @Test func overridesCount() throws {
        let options = QuantizationOptions(type: .q4_K, outputType: .f16, embeddingType: .q5_1)
        #expect(try types(Self.matrices, options) == ["Q5_1", "F16", "Q4_K", "Q4_K"])
    }

    /// `use_more_bits` of llama.cpp for 16 layers: the first two, the last two, and every third between.
    @Test(arguments: [(QuantizationType.q4_K_M, "Q4_K"), (.q5_K_M, "Q5_K")])
    func mixturesGiveSomeLayersMore(_ type: QuantizationType, _ most: String) throws {
        let more: Set = [0, 1, 4, 7, 10, 13, 14, 15]
        for part in ["attn_v", "ffn_down"] {
            let tensors = (0..<16).map { (name: "blk.\($0).\(part).weight", shape: [2, 256]) }
            let expected = (0..<16).map { more.contains($0) ? "Q6_K" : most }
            #expect(try types(tensors, QuantizationOptions(type: type)) == expected)
        }
        let others = (0..<16).map { (name: "blk.\($0).ffn_up.weight", shape: [2, 256]) }
        #expect(try types(others, QuantizationOptions(type: type)) == .init(repeating: most, count: 16))
    }

    @Test(arguments: [
        (QuantizationType.q4_K, 96, "Q5_0"), (.q5_K, 96, "Q5_1"), (.q6_K, 96, "Q8_0"), (.q4_K, 33, "F16"),
        (.q8_0, 33, "F16"), (.q4_1, 512, "Q4_1"), (.bf16, 33, "BF16"),
    ])
    func rowsThatDoNotDivideFallBack(_ type: QuantizationType, _ columns: Int, _ expected: String) throws {
        #expect(try types([("blk.0.x.weight", [3, columns])], QuantizationOptions(type: type)) == [expected])
    }

    @Test func onlyMatricesOfWeightsAreQuantised() throws {
        let tensors: [(name: String, shape: [Int])] = [
            ("blk.0.attn_norm.weight", [256]), ("blk.0.attn_q.bias", [256]), ("blk.0.x_norm.weight", [2, 256]),
            ("blk.0.ffn_gate_inp.weight", [2, 256]), ("blk.0.ffn_up_exps.weight", [2, 2, 256]), ("odd", [2, 256]),
            ("blk.0.attn_k_norm.weight", [1, 256]),
        ]
        let expected = ["F32", "F32", "F32", "F32", "Q4_0", "F32", "F32"]
        #expect(try types(tensors, QuantizationOptions(type: .q4_0)) == expected)
    }

    @Test func metadataThatNoLongerHoldsGoes() throws {
        _ = try types(Self.matrices, QuantizationOptions(type: .q5_K_M))
        let file = try GGUFFile(path: output)
        #expect(file.keys == ["general.architecture", "mine", "general.quantization_version", "general.file_type"])
        #expect(file.metadata["general.file_type"]?.int == 17)
    }

    private func refused(_ path: String, _ options: QuantizationOptions = .init(type: .q4_0)) throws -> String {
        let refusal = try #require(
            try refusal { _ = try ModelQuantizer.quantize(ModelFile.open(path: path), to: output, options: options) })
        #expect(!FileManager.default.fileExists(atPath: output))
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/.out.gguf.partial"))
        return refusal.message
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity, 70_000, -1e30]) func valuesThatAreNoneAreNamed(_ value: Float)
        throws
    {
        let path = try source([("blk.0.fine.weight", [2, 64]), ("blk.1.bad.weight", [3, 64])]) {
            $0 == 130 ? value : 0.5
        }
        let message = try refused(path)
        #expect(message.contains("'blk.1.bad.weight'"), "\(message)")
        #expect(message.contains("row 2, column 2"), "\(message)")
        #expect(message.contains("\(value)"), "\(message)")
        if !value.isFinite {
            #expect(try refused(path, .init(type: .f32)).contains("'blk.1.bad.weight'"))
        }
    }

    @Test func aTruncatedSourceLeavesNothing() throws {
        let path = try source(Self.matrices)
        let bytes = try Data(contentsOf: URL(filePath: path))
        for count in [0, 3, 20, 100, bytes.count / 2, bytes.count - 1] {
            try folder.write(bytes.prefix(count), as: "source.gguf")
            #expect(try refused(path).contains("source.gguf"), "\(count)")
        }
    }

    @Test func aVocabularyAloneIsNoModel() throws {
        #expect(try refused(source([])).contains("no tensors"))
    }

    @Test func aDirectoryWithoutATokenizerIsNamed() throws {
        let copy = try ModelCopy(of: "qwen2")
        try copy.remove("tokenizer.json")
        #expect(try refused(copy.path).contains("tokenizer.json"))
    }

    @Test(arguments: [0, -1, 5000]) func impossibleThreadsAreRefused(_ threads: Int) throws {
        #expect(try refused(source(Self.matrices), .init(type: .q4_0, threads: threads)).contains("threads"))
    }

    @Test func aFileThatIsThereStays() throws {
        try folder.write("precious".utf8, as: "out.gguf")
        let path = try source(Self.matrices)
        let refusal = try refusal {
            _ = try ModelQuantizer.quantize(ModelFile.open(path: path), to: output, options: .init(type: .q4_0))
        }
        #expect(refusal?.code == "exists")
        #expect(try folder.bytes(of: "out.gguf") == Array("precious".utf8))
    }

    /// The mapped source stays readable while its name gets the new file.
    @Test func aFileCanBeWrittenOverItself() throws {
        let path = try source(Self.matrices)
        let options = QuantizationOptions(type: .q8_0, replaces: true)
        let report = try ModelQuantizer.quantize(ModelFile.open(path: path), to: path, options: options)
        #expect(try GGUFFile(path: path).tensors.map(\.view.type.name) == .init(repeating: "Q8_0", count: 4))
        #expect(report.relativeError < 0.01)
    }
}
