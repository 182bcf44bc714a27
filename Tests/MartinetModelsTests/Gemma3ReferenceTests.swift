import Foundation
import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import Testing

/// Gemma 3 270M in Q4_K_M against transformers in float32 with the same weights, past its sliding window of 512.
///
/// A row of its logits is a megabyte, so rows are compared as they come and each position is computed once.
@Suite(.serialized)
struct Gemma3ReferenceTests {
    let reference: ReferenceLogits
    let network: ModelNetwork

    init() throws {
        reference = try Fixtures.json("reference/gemma3-270m.json")
        network = try ModelNetwork(ModelFile.open(path: TestModels.gemma3()))
    }

    private func runner(_ precision: RunnerOptions.Precision) throws -> any ModelRunner {
        try network.makeRunner(
            limits: .forTests(tokens: 704, batch: Self.chunk), options: RunnerOptions(precision: precision))
    }

    private static let chunk = 32

    @Test func theShapeIsRead() throws {
        let shape = network.configuration
        #expect(shape.headSize == 256)
        #expect(shape.tiedEmbeddings)
        #expect(shape.slidingWindow == 512)
        #expect((0..<shape.layerCount).filter { !shape.isWindowed(layer: $0) } == [5, 11, 17])
        #expect(shape.rope.theta == 1_000_000)
        #expect(shape.windowedRope?.theta == 10_000)
        #expect(reference.prompts.contains { $0.tokens.count > 600 })
    }

    /// What comparing one prompt's rows comes to.
    private struct Comparison {
        var errors: [Float] = []
        var divergences: [Double] = []
        var same = 0
        var (exactLoss, fastLoss) = (0.0, 0.0)
        /// How far the reference's greedy token lies below the likeliest, by step.
        var (exactGaps, fastGaps): ([Float], [Float]) = ([], [])
    }

    private func compare(
        _ prompt: ReferenceLogits.Prompt, _ exact: any ModelRunner, _ fast: any ModelRunner
    ) throws -> Comparison {
        var result = Comparison()
        let count = prompt.tokens.count
        // The greedy tokens follow as if they had been chosen: each is then predicted after the reference's own text.
        let sequence = prompt.tokens + prompt.greedy.dropLast()
        // Steps of both in turn, so that few rows are held.
        for start in stride(from: 0, to: sequence.count, by: Self.chunk) {
            let range = start..<min(sequence.count, start + Self.chunk)
            let rows = zip(try exact.rows(of: sequence, in: range), try fast.rows(of: sequence, in: range))
            for (position, (expected, row)) in zip(range, rows) {
                if position >= count - 1 {
                    let token = Int(prompt.greedy[position - count + 1])
                    result.exactGaps.append(expected[argmax(expected)] - expected[token])
                    result.fastGaps.append(row[argmax(row)] - row[token])
                }
                guard position < count else { continue }
                result.errors.append(relativeError(expected, prompt.positions[position], fixed: reference.fixed))
                result.divergences.append(divergence(expected, row))
                if argmax(expected) == argmax(row) { result.same += 1 }
                guard position + 1 < count else { continue }
                let next = Int(prompt.tokens[position + 1])
                result.exactLoss += logSumExp(expected) - Double(expected[next])
                result.fastLoss += logSumExp(row) - Double(row[next])
            }
        }
        return result
    }

    @Test func logitsAreTheReferences() throws {
        let (exact, fast) = (try runner(.exact), try runner(.fast))
        var (sameGreedy, greedy) = (0, 0)
        for prompt in reference.prompts {
            let result = try compare(prompt, exact, fast)
            let count = prompt.tokens.count
            let mean = result.divergences.reduce(0, +) / Double(count)
            let agreement = Double(result.same) / Double(count)
            let largest = result.errors.max() ?? 1
            print("gemma3, \(prompt.name): largest relative error \(largest) over \(count) positions")
            print("gemma3, \(prompt.name): mean divergence \(mean), same first choice \(agreement)")
            print("gemma3, \(prompt.name): largest gap of a greedy token \(result.fastGaps.max() ?? 1)")
            #expect(result.errors.count == count)
            #expect(result.errors.allSatisfy { $0 <= 1e-3 }, "\(prompt.name)")
            #expect(mean < 0.01, "\(prompt.name)")
            #expect(agreement >= 0.99, "\(prompt.name)")
            #expect(result.exactGaps == .init(repeating: 0, count: prompt.greedy.count), "\(prompt.name)")
            // The fast path may choose otherwise where two tokens are as likely as each other within a hundredth.
            #expect(result.fastGaps.allSatisfy { $0 <= 0.01 }, "\(prompt.name)")
            sameGreedy += result.fastGaps.filter { $0 == 0 }.count
            greedy += prompt.greedy.count
            guard prompt.tokens == reference.text.tokens else { continue }
            for loss in [result.exactLoss, result.fastLoss] {
                let perToken = loss / Double(count - 1)
                print("gemma3: perplexity \(exp(perToken)), reference \(exp(reference.text.meanNegativeLogLikelihood))")
                #expect(abs(exp(perToken - reference.text.meanNegativeLogLikelihood) - 1) <= 0.01)
            }
        }
        print("gemma3, fast: \(sameGreedy) of \(greedy) greedy tokens are the reference's")
        #expect(Double(sameGreedy) >= 0.99 * Double(greedy))
    }

    /// Token by token, as it is served; the long prompt's text is compared above.
    @Test(arguments: [RunnerOptions.Precision.exact, .fast]) func greedyTextIsTheReferences(
        _ precision: RunnerOptions.Precision
    ) throws {
        let runner = try runner(precision)
        for prompt in reference.prompts where prompt.name != "long" {
            // The exact path unpacks the whole vocabulary's weights for each token.
            let count = precision == .exact ? 12 : prompt.greedy.count
            let tokens = try runner.greedy(prompt.tokens, count: count)
            #expect(tokens == Array(prompt.greedy.prefix(count)), "\(prompt.name)")
        }
    }
}

extension ModelRunner {
    /// Runs a range of a sequence whose earlier tokens have run, in the first blocks of the pool.
    fileprivate func rows(of tokens: [Int32], in range: Range<Int>) throws -> [[Float]] {
        let blocks = (0..<Int32((range.upperBound + limits.blockSize - 1) / limits.blockSize)).map { $0 }
        let logits = try forward(
            ForwardBatch(
                tokens: Array(tokens[range]),
                slices: [SequenceSlice(tokens: 0..<range.count, start: range.lowerBound, blocks: blocks)],
                logitTokens: Array(0..<range.count)))
        let width = configuration.vocabularySize
        return (0..<range.count).map { Array(logits[$0 * width..<($0 + 1) * width]) }
    }
}
