import Foundation
import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import Testing

/// SmolLM2-135M in Q4_1 against transformers in float32 with the same weights.
@Suite(.serialized)
struct ReferenceTests {
    let reference: ReferenceLogits
    let network: ModelNetwork

    init() throws {
        reference = try Fixtures.json("reference/smollm2.json")
        network = try ModelNetwork(ModelFile.open(path: TestModels.smollm2()))
    }

    private func runner(
        _ precision: RunnerOptions.Precision, keyValueType: KeyValueType = .float16, tokens: Int
    ) throws -> any ModelRunner {
        try network.makeRunner(
            limits: .forTests(tokens: tokens), options: RunnerOptions(precision: precision, keyValueType: keyValueType))
    }

    @Test func exactLogitsAreTheReferences() throws {
        let runner = try runner(.exact, tokens: 256)
        for prompt in reference.prompts {
            let rows = try runner.allLogits(prompt.tokens)
            let errors = zip(rows, prompt.positions).map { relativeError($0, $1, fixed: reference.fixed) }
            print("exact, \(prompt.name): largest relative error \(errors.max() ?? 1) over \(errors.count) positions")
            #expect(errors.count == prompt.tokens.count)
            #expect(errors.allSatisfy { $0 <= 1e-3 }, "\(prompt.name)")
        }
    }

    @Test(arguments: [RunnerOptions.Precision.exact, .fast]) func greedyTextIsTheReferences(
        _ precision: RunnerOptions.Precision
    ) throws {
        let runner = try runner(precision, tokens: 256)
        for prompt in reference.prompts {
            let tokens = try runner.greedy(prompt.tokens, count: prompt.greedy.count)
            let same = zip(tokens, prompt.greedy).prefix { $0 == $1 }.count
            print("\(precision), \(prompt.name): first \(same) of \(prompt.greedy.count) greedy tokens agree")
            #expect(tokens == prompt.greedy, "\(precision), \(prompt.name)")
        }
    }

    @Test(arguments: [KeyValueType.float16, .int8]) func fastPathKeepsTheDistribution(_ type: KeyValueType) throws {
        let tokens = reference.text.tokens
        let exact = try runner(.exact, tokens: tokens.count).allLogits(tokens)
        let fast = try runner(.fast, keyValueType: type, tokens: tokens.count).allLogits(tokens)
        let divergences = zip(exact, fast).map(divergence)
        let mean = divergences.reduce(0, +) / Double(divergences.count)
        let agreement = Double(zip(exact, fast).filter { argmax($0) == argmax($1) }.count) / Double(tokens.count)
        print(
            "fast, \(type): mean divergence \(mean), largest \(divergences.max() ?? 0), same first choice \(agreement)")
        #expect(mean < 0.01)
        #expect(agreement >= 0.99)
        for (name, rows) in [("exact", exact), ("fast", fast)] {
            let losses = zip(rows, tokens.dropFirst()).map { logSumExp($0) - Double($0[Int($1)]) }
            let loss = losses.reduce(0, +) / Double(losses.count)
            let ratio = exp(loss - reference.text.meanNegativeLogLikelihood)
            print("\(name): perplexity \(exp(loss)), reference \(exp(reference.text.meanNegativeLogLikelihood))")
            #expect(losses.count == tokens.count - 1)
            #expect(abs(ratio - 1) <= 0.01, "\(name)")
        }
    }
}
