import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import Testing

/// The same bits for a sequence, whatever else is in the batch and however it is cut.
struct BatchInvarianceTests {
    /// A model, and how many tokens to run through it.
    enum Subject: String, CaseIterable, CustomTestStringConvertible {
        case tinyLlama, tinyQwen2, tinyGemma3, smollm2
        var testDescription: String { rawValue }
        var path: String {
            get throws {
                switch self {
                case .tinyLlama: TestModels.tiny("llama.gguf")
                case .tinyQwen2: TestModels.tiny("qwen2")
                case .tinyGemma3: TestModels.tiny("gemma3")
                case .smollm2: try TestModels.smollm2()
                }
            }
        }
    }

    private func prompt(_ count: Int, seed: Int, vocabulary: Int) -> [Int32] {
        (0..<count).map { Int32((($0 * $0 + 7) * (seed + 3) * 31 + $0 * 17 + seed) % vocabulary) }
    }

    private func sameBits(_ a: [[Float]], _ b: [[Float]]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0.map(\.bitPattern) == $1.map(\.bitPattern) }
    }

    @Test(arguments: Subject.allCases, [RunnerOptions.Precision.fast, .exact])
    func logitsDoNotDependOnTheBatch(_ subject: Subject, _ precision: RunnerOptions.Precision) throws {
        let network = try ModelNetwork(ModelFile.open(path: subject.path))
        let limits = RunnerLimits.forTests(tokens: 192, batch: 160, blockSize: 16, spareBlocks: 20)
        func makeRunner(threads: Int?) throws -> any ModelRunner {
            try network.makeRunner(limits: limits, options: RunnerOptions(precision: precision, threads: threads))
        }
        let runner = try makeRunner(threads: nil)
        let vocabulary = network.configuration.vocabularySize
        let tokens = prompt(70, seed: 1, vocabulary: vocabulary)
        let alone = try runner.allLogits(tokens)
        #expect(alone.count == tokens.count)
        #expect(Set(alone.map { $0.map(\.bitPattern) }).count > 1)

        for chunk in [1, 7, 64] {
            #expect(sameBits(alone, try runner.allLogits(tokens, chunk: chunk)), "in chunks of \(chunk)")
        }
        #expect(sameBits(alone, try runner.allLogits(tokens, blocks: [31, 2, 19, 5, 11])), "in other blocks")
        for threads in [1, 3] {
            #expect(sameBits(alone, try makeRunner(threads: threads).allLogits(tokens)), "on \(threads) threads")
        }

        // A prompt of another sequence before it, a decode token after it.
        let first = prompt(40, seed: 2, vocabulary: vocabulary)
        let last = prompt(33, seed: 5, vocabulary: vocabulary)
        _ = try runner.allLogits(Array(last.dropLast()), blocks: [30, 29, 28])
        let batch = ForwardBatch(
            tokens: first + tokens + last.suffix(1),
            slices: [
                SequenceSlice(tokens: 0..<40, start: 0, blocks: [7, 6, 5]),
                SequenceSlice(tokens: 40..<110, start: 0, blocks: [0, 1, 2, 3, 4]),
                SequenceSlice(tokens: 110..<111, start: 32, blocks: [30, 29, 28]),
            ],
            logitTokens: Array(40..<110))
        let logits = try runner.forward(batch)
        let together = (0..<70).map { Array(logits[$0 * vocabulary..<($0 + 1) * vocabulary]) }
        #expect(sameBits(alone, together), "beside other sequences")
    }

    @Test func aSharedPrefixServesTwoSequences() throws {
        let network = try ModelNetwork(ModelFile.open(path: TestModels.tiny("llama")))
        let runner = try network.makeRunner(limits: .forTests(tokens: 64, spareBlocks: 4), options: RunnerOptions())
        let tokens = prompt(40, seed: 1, vocabulary: 320)
        let alone = try runner.allLogits(tokens)
        let other = Array(tokens[..<32]) + prompt(8, seed: 9, vocabulary: 320)
        let otherAlone = try runner.allLogits(other, blocks: [3, 4, 5])
        // Both continue after the same two blocks, in one step.
        let batch = ForwardBatch(
            tokens: Array(tokens[32...]) + Array(other[32...]),
            slices: [
                SequenceSlice(tokens: 0..<8, start: 32, blocks: [0, 1, 2]),
                SequenceSlice(tokens: 8..<16, start: 32, blocks: [0, 1, 6]),
            ],
            logitTokens: Array(0..<16))
        // Block 0 and 1 hold the prefix of the first run.
        _ = try runner.allLogits(tokens)
        let logits = try runner.forward(batch)
        let rows = (0..<16).map { Array(logits[$0 * 320..<($0 + 1) * 320]) }
        #expect(sameBits(Array(alone[32...]), Array(rows[..<8])))
        #expect(sameBits(Array(otherAlone[32...]), Array(rows[8...])))
    }
}
