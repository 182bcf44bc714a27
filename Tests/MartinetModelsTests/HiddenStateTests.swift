import CMartinetKernels
import MartinetModelFormats
import MartinetModels
import MartinetTensors
import MartinetTestKit
import Testing

/// Hidden states, which embeddings are made of.
struct HiddenStateTests {
    /// All hidden states of a sequence that is computed in chunks.
    private func states(_ runner: any ModelRunner, _ tokens: [Int32], chunk: Int) throws -> [[Float]] {
        let width = runner.configuration.hiddenSize
        let blocks = Array(0..<Int32(runner.limits.blockCount))
        var states: [[Float]] = []
        for start in stride(from: 0, to: tokens.count, by: chunk) {
            let part = Array(tokens[start..<min(tokens.count, start + chunk)])
            // Some rows of logits, none in others.
            _ = try runner.forward(
                ForwardBatch(
                    tokens: part, slices: [SequenceSlice(tokens: 0..<part.count, start: start, blocks: blocks)],
                    logitTokens: start % 2 == 0 ? [part.count - 1] : [], wantsHiddenStates: true))
            for row in 0..<part.count { states.append(Array(runner.hiddenStates[row * width..<(row + 1) * width])) }
        }
        return states
    }

    /// The output projection's rows give the logits of the reference, transformers in float32: there are more of them
    /// than a state has elements, so the states are right.
    @Test(arguments: TestModels.tinyNames) func statesGiveTheReferencesLogits(_ name: String) throws {
        let references: [String: TinyReference] = try Fixtures.json("tiny/reference.json")
        let reference = try #require(references[name])
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny(name)))
        let runner = try network.makeRunner(limits: .forTests(tokens: 64), options: RunnerOptions(precision: .exact))
        let weights = network.weights.tensors
        let output = try #require(
            network.configuration.tiedEmbeddings ? weights["token_embd.weight"] : weights["output.weight"])
        #expect(output.rows / reference.every > 0)
        var row = [Float](repeating: 0, count: output.columns)
        let states = try states(runner, reference.tokens, chunk: 7)
        #expect(states.count == reference.logits.count)
        for (index, token) in stride(from: 0, to: output.rows, by: reference.every).enumerated() {
            #expect(mk_dequantize_row(Int32(output.type.rawValue), output.row(token), &row, output.columns))
            for (state, expected) in zip(states, reference.logits) {
                let rms = (expected.reduce(0) { $0 + $1 * $1 } / Float(expected.count)).squareRoot()
                let logit = zip(state, row).reduce(Float(0)) { $0 + $1.0 * $1.1 }
                #expect(abs(logit - expected[index]) <= 1e-3 * rms)
            }
        }
    }

    @Test(arguments: ["llama.gguf", "gemma3"], [RunnerOptions.Precision.exact, .fast])
    func chunksHaveTheSameBits(_ name: String, _ precision: RunnerOptions.Precision) throws {
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny(name)))
        let runner = try network.makeRunner(limits: .forTests(tokens: 64), options: RunnerOptions(precision: precision))
        let tokens = (0..<50).map { Int32($0 * 37 % 320) }
        let whole = try states(runner, tokens, chunk: 64)
        for chunk in [1, 5, 49] { #expect(try states(runner, tokens, chunk: chunk) == whole) }
        #expect(Set(whole).count == 50)
    }

    @Test(
        arguments: [
            (nil, Pooling.last), (0, .last), (1, .mean), (2, .cls), (3, .last), (4, nil), (-1, nil), (Int.max, nil),
        ] as [(Int?, Pooling?)]) func poolingOfFiles(_ number: Int?, _ pooling: Pooling?)
    {
        #expect(Pooling(gguf: number) == pooling)
    }
}
