import FoundationEssentials
import MartinetModelFormats
import MartinetModels
import MartinetTensors
import MartinetTestKit
import MartinetTokenizers
import Testing

/// Models that were quantised, against what they were made of.
struct QuantizedModelTests {
    let folder: ModelCopy

    init() throws { folder = try ModelCopy() }

    private var output: String { folder.path + "/out.gguf" }

    private func quantize(
        _ path: String, _ options: QuantizationOptions
    ) throws -> (report: QuantizationReport, file: GGUFFile) {
        let report = try ModelQuantizer.quantize(ModelFile.open(path: path), to: output, options: options)
        return (report, try GGUFFile(path: output))
    }

    private static let prompt: [Int32] = (0..<40).map { Int32(3 + $0 * 37 % 300) }

    private func run(_ path: String) throws -> (logits: [[Float]], greedy: [Int32]) {
        let network = try ModelNetwork(ModelFile.open(path: path))
        let options = RunnerOptions(precision: .exact)
        let runner = try network.makeRunner(limits: .forTests(tokens: 128), options: options)
        return (try runner.allLogits(Self.prompt), try runner.greedy(Self.prompt, count: 24))
    }

    /// As GGUF with the rows of queries and keys in another order, a directory says the same.
    @Test(arguments: ["llama", "llama-rope", "mistral", "qwen2", "gemma3"])
    func aDirectoryStaysWhatItIs(_ name: String) throws {
        let directory = TestModels.tiny(name)
        let (report, file) = try quantize(directory, QuantizationOptions(type: .f32))
        #expect(report.rootMeanSquareError == 0)
        #expect(!report.isRequantized)
        let (source, copy) = (try run(directory), try run(output))
        #expect(copy.greedy == source.greedy)
        let errors = zip(source.logits, copy.logits).map { row, other in
            let rms = (row.reduce(0) { $0 + $1 * $1 } / Float(row.count)).squareRoot()
            return (zip(row, other).map { abs($0 - $1) }.max() ?? .infinity) / rms
        }
        print("\(name): largest relative error \(errors.max() ?? 1)")
        #expect(errors.count == Self.prompt.count)
        #expect(errors.allSatisfy { $0 <= 1e-4 })

        let (old, new) = (try LoadedModel.load(path: directory), try LoadedModel.load(path: output))
        #expect(new.chatTemplateSource == old.chatTemplateSource)
        #expect(new.endTokens == old.endTokens)
        #expect(new.tokenizer.bosToken == old.tokenizer.bosToken)
        #expect(new.tokenizer.addsBos == old.tokenizer.addsBos)
        let text = "<|im_start|>Alice was 1234 years old,\n\nwasn't she?  naïve — 北京<|im_end|>"
        for handling in [SpecialTokenHandling.parse, .asText] {
            let tokens = old.tokenizer.encode(text, specials: handling)
            #expect(new.tokenizer.encode(text, specials: handling) == tokens)
            #expect(new.tokenizer.decode(tokens) == old.tokenizer.decode(tokens))
        }
        #expect(file.metadata["general.file_type"]?.int == 0)
        #expect(file.metadata["general.quantization_version"]?.int == 2)
        #expect(file.metadata["tokenizer.ggml.tokens"]?.array?.count == 320)
    }

    /// What tiny models may lose: their weights are normally distributed and their rows 64 wide.
    private static func bound(_ type: QuantizationType) -> Double {
        switch type {
        case .f32: 0
        case .f16: 0.0003
        case .bf16: 0.003
        case .q8_0, .q6_K: 0.006
        case .q4_0: 0.09
        case .q4_1: 0.075
        // Rows of 64 are no multiple of 256.
        case .q5_0, .q4_K, .q4_K_M: 0.045
        case .q5_1, .q5_K, .q5_K_M: 0.037
        }
    }

    @Test(arguments: QuantizationType.allCases) func everyTypeRuns(_ type: QuantizationType) throws {
        let (report, file) = try quantize(TestModels.tiny("llama-rope"), QuantizationOptions(type: type, threads: 2))
        print("\(type.rawValue): relative error \(report.relativeError), \(report.bitsPerWeight) bits")
        #expect(report.relativeError <= Self.bound(type))
        #expect((report.relativeError == 0) == (type == .f32 || type == .f16))
        #expect(report.elements == file.tensors.reduce(0) { $0 + $1.view.rows * $1.view.columns })
        #expect(report.types.reduce(0) { $0 + $1.bytes } == file.tensors.reduce(0) { $0 + $1.view.byteCount })
        #expect(report.fileSize == file.files[0].count)
        let vectors = file.tensors.filter { $0.view.rows == 1 }
        #expect(vectors.count == 4)
        #expect(vectors.allSatisfy { $0.view.type == .float32 })
        #expect(try run(output).logits.joined().allSatisfy { $0.isFinite })
    }

    /// The same bytes, however many threads write them.
    @Test func threadsDoNotMatter() throws {
        var files: [Data] = []
        for threads in [1, 2, 5] {
            let options = QuantizationOptions(type: .q4_1, threads: threads, replaces: true)
            _ = try quantize(TestModels.tiny("llama"), options)
            files.append(try Data(contentsOf: URL(filePath: output)))
        }
        #expect(files[0] == files[1])
        #expect(files[0] == files[2])
    }

    @Test func metadataOfGGUFFilesIsKept() throws {
        let source = try GGUFFile(path: TestModels.tiny("llama.gguf"))
        let (report, file) = try quantize(TestModels.tiny("llama.gguf"), QuantizationOptions(type: .q5_1))
        #expect(report.isRequantized)
        #expect(Set(file.keys).subtracting(source.keys) == ["general.file_type", "general.quantization_version"])
        #expect(file.metadata["general.file_type"]?.int == 9)
        for key in source.keys {
            #expect(file.metadata[key]?.string == source.metadata[key]?.string, "\(key)")
            #expect(file.metadata[key]?.double == source.metadata[key]?.double, "\(key)")
            #expect(file.metadata[key]?.strings == source.metadata[key]?.strings, "\(key)")
            #expect(file.metadata[key]?.ints == source.metadata[key]?.ints, "\(key)")
        }
        #expect(file.tensor("rope_freqs.weight")?.type == .float32)
        let model = try LoadedModel.load(path: output)
        #expect(model.configuration == (try TestModels.tinyModel()).configuration)
        // A type that a tensor has already stays byte for byte.
        let same = try #require(source.tensor("blk.0.attn_k.weight"))
        let kept = try #require(file.tensor("blk.0.attn_k.weight"))
        #expect(same.type == .q5_1)
        #expect(
            UnsafeRawBufferPointer(start: same.bytes, count: same.byteCount)
                .elementsEqual(UnsafeRawBufferPointer(start: kept.bytes, count: kept.byteCount)))
    }

    /// The default model in Q8_0 says what it says in Q4_1.
    @Test func theDefaultModelKeepsItsDistribution() throws {
        let (report, _) = try quantize(TestModels.smollm2(), QuantizationOptions(type: .q8_0))
        let reference: ReferenceLogits = try Fixtures.json("reference/smollm2.json")
        let tokens = Array(reference.text.tokens.prefix(96))
        let rows = try [TestModels.smollm2(), output].map { path in
            try ModelNetwork(ModelFile.open(path: path)).makeRunner(
                limits: .forTests(tokens: 96), options: RunnerOptions()
            ).allLogits(tokens)
        }
        let divergences = zip(rows[0], rows[1]).map(divergence)
        let mean = divergences.reduce(0, +) / Double(divergences.count)
        print("Q4_1 to Q8_0: \(report.bitsPerWeight) bits, relative error \(report.relativeError), divergence \(mean)")
        #expect(divergences.count == 96)
        #expect(mean < 0.001)
        #expect(report.relativeError < 0.006)
        #expect(report.types.map(\.type) == ["Q8_0", "F32"])
    }
}
