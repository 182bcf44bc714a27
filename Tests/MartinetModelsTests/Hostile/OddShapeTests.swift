import CMartinetKernels
import MartinetModels
import MartinetTensors
import MartinetTestKit
import Testing

/// Shapes that are allowed but that no one trains: widths of one, primes, heads of the least and of the greatest size.
/// Vector kernels must not read past the ends of such rows, and must compute what the scalar ones do.
struct OddShapeTests {
    struct Shape: CustomTestStringConvertible, Sendable {
        var hidden, intermediate, heads, keyValueHeads, headSize, vocabulary: Int
        var testDescription: String {
            "hidden \(hidden), intermediate \(intermediate), heads \(heads)/\(keyValueHeads) of \(headSize), "
                + "vocabulary \(vocabulary)"
        }
    }

    static let shapes = [
        Shape(hidden: 1, intermediate: 1, heads: 1, keyValueHeads: 1, headSize: 4, vocabulary: 1),
        Shape(hidden: 3, intermediate: 7, heads: 2, keyValueHeads: 1, headSize: 4, vocabulary: 5),
        Shape(hidden: 31, intermediate: 33, heads: 3, keyValueHeads: 3, headSize: 12, vocabulary: 323),
        Shape(hidden: 65, intermediate: 127, heads: 33, keyValueHeads: 1, headSize: 20, vocabulary: 67),
        Shape(hidden: 17, intermediate: 1, heads: 4, keyValueHeads: 2, headSize: 512, vocabulary: 2),
    ]

    /// A directory with random weights in float32.
    private func write(_ shape: Shape, into copy: ModelCopy) throws {
        let configuration = ModelConfiguration(
            architecture: "llama", vocabularySize: shape.vocabulary, hiddenSize: shape.hidden,
            intermediateSize: shape.intermediate, layerCount: 1, headCount: shape.heads,
            keyValueHeadCount: shape.keyValueHeads, headSize: shape.headSize, contextLength: 64, normEpsilon: 1e-5,
            rope: RopeConfiguration(theta: 10_000, rotarySize: shape.headSize, interleaved: false),
            tiedEmbeddings: true)
        let config =
            #"{"architectures": ["LlamaForCausalLM"], "vocab_size": \#(shape.vocabulary), "#
            + #""hidden_size": \#(shape.hidden), "intermediate_size": \#(shape.intermediate), "#
            + #""num_hidden_layers": 1, "num_attention_heads": \#(shape.heads), "rms_norm_eps": 1e-5, "#
            + #""num_key_value_heads": \#(shape.keyValueHeads), "head_dim": \#(shape.headSize), "#
            + #""max_position_embeddings": 64, "tie_word_embeddings": true}"#
        try copy.write(config.utf8, as: "config.json")
        var generator = SeededGenerator(state: UInt64(shape.hidden))
        var members: [String] = []
        var data: [UInt8] = []
        for specification in DecoderStyle().weights(of: configuration) {
            let start = data.count
            for _ in 0..<specification.shape.reduce(1, *) {
                let value = Float.random(in: -1...1, using: &generator)
                withUnsafeBytes(of: value.bitPattern.littleEndian) { data += $0 }
            }
            members.append(
                #""\#(HuggingFaceNames().spelling(of: specification.name))": {"dtype": "F32", "#
                    + #""shape": \#(specification.shape), "data_offsets": [\#(start), \#(data.count)]}"#)
        }
        var header = Array("{\(members.joined(separator: ","))}".utf8)
        header += [UInt8](repeating: UInt8(ascii: " "), count: (8 - header.count % 8) % 8)
        let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { [UInt8]($0) }
        try copy.write(length + header + data, as: "model.safetensors")
    }

    @Test(arguments: shapes) func vectorsComputeWhatScalarsDo(_ shape: Shape) throws {
        let copy = try ModelCopy(of: "mistral")
        try write(shape, into: copy)
        let model = try LoadedModel.load(path: copy.path)
        let tokens = (0..<20).map { Int32(($0 * 7 + 3) % shape.vocabulary) }
        func rows(_ options: RunnerOptions) throws -> [[Float]] {
            try model.makeRunner(limits: .forTests(tokens: 32), options: options).allLogits(tokens, chunk: 7)
        }
        let scalar = try rows(RunnerOptions(precision: .exact, threads: 1, instructionSet: Int32(MK_ISA_SCALAR)))
        for precision in [RunnerOptions.Precision.exact, .fast] {
            let vector = try rows(RunnerOptions(precision: precision, keyValueType: .float32, threads: 2))
            for (a, b) in zip(scalar, vector) {
                let scale = a.reduce(1e-3) { max($0, abs($1)) }
                #expect(a.allSatisfy { $0.isFinite })
                #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-4 * scale }, "\(precision)")
            }
        }
    }
}
