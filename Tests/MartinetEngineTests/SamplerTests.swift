import Foundation
import MartinetEngine
import Testing

@Suite struct CounterRandomTests {
    // Known answers of Philox 4x32-10 from its authors' test vectors.
    @Test func givesThePublishedNumbers() {
        let zero = CounterRandom(seed: 0).words(0, 0)
        #expect([zero.0, zero.1, zero.2, zero.3] == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
        let ones = CounterRandom(seed: .max).words(.max, .max)
        #expect([ones.0, ones.1, ones.2, ones.3] == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
        let pi = CounterRandom(seed: 0x299f_31d0_a409_3822).words(0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e)
        #expect([pi.0, pi.1, pi.2, pi.3] == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
    }
}

@Suite struct SamplerTests {
    /// Draws at many positions and gives each token's share.
    private func shares(
        _ logits: [Float], draws: Int = 20000, output: [Int32] = [], prompt: [Int32] = [],
        _ change: (inout SamplingParameters) -> Void
    ) -> [Double] {
        var parameters = SamplingParameters()
        change(&parameters)
        var scratch = SamplerScratch(vocabularySize: logits.count)
        var counts = Array(repeating: 0.0, count: logits.count)
        for draw in 0..<draws {
            var sampler = SequenceSampler(
                parameters: parameters, seed: UInt64(draw), sampleIndex: 0, prompt: prompt, endTokens: [0])
            var row = logits
            let token = row.withUnsafeMutableBufferPointer {
                sampler.sample($0, output: output[...], scratch: &scratch)?.token ?? 0
            }
            counts[Int(token)] += 1
        }
        return counts.map { $0 / Double(draws) }
    }

    private func softmax(_ logits: [Float], temperature: Double = 1) -> [Double] {
        let weights = logits.map { exp(Double($0) / temperature) }
        return weights.map { $0 / weights.reduce(0, +) }
    }

    private func expectClose(_ a: [Double], _ b: [Double], sourceLocation: SourceLocation = #_sourceLocation) {
        // Four standard deviations of a share over 20,000 draws stay below 0.0142.
        for (x, y) in zip(a, b) { #expect(abs(x - y) < 0.0142, "\(a) and \(b)", sourceLocation: sourceLocation) }
    }

    private let logits: [Float] = [0, 1, 2, -1, 0.5]

    @Test(arguments: [0.5, 1, 2]) func drawsByTemperature(temperature: Double) {
        expectClose(shares(logits) { $0.temperature = temperature }, softmax(logits, temperature: temperature))
    }

    @Test func zeroTemperatureTakesTheFirstOfTheLikeliest() {
        #expect(shares([1, 3, 3, 0], draws: 5) { $0.temperature = 0 } == [0, 1, 0, 0])
    }

    @Test func topKKeepsTheLikeliest() {
        let p = softmax(logits)
        let kept = p[1] + p[2]
        expectClose(shares(logits) { $0.topK = 2 }, [0, p[1] / kept, p[2] / kept, 0, 0])
    }

    @Test func topPKeepsTheSmallestSetThatReachesIt() {
        let p = softmax(logits)
        // p = .09 .23 .63 .03 .14 (scaled): the first two reach 0.7.
        let kept = p[1] + p[2]
        #expect(p[2] < 0.7 && kept > 0.7)
        expectClose(shares(logits) { $0.topP = 0.7 }, [0, p[1] / kept, p[2] / kept, 0, 0])
        expectClose(shares(logits) { $0.topP = 0.01 }, [0, 0, 1, 0, 0])
    }

    @Test func topPCountsWithinTopK() {
        let p = softmax(logits)
        // Of the two that top_k leaves, the first has 0.73: top_p 0.72 keeps it alone.
        #expect(p[2] / (p[1] + p[2]) > 0.72)
        expectClose(shares(logits) { ($0.topK, $0.topP) = (2, 0.72) }, [0, 0, 1, 0, 0])
    }

    @Test func minPKeepsTokensNearTheLikeliest() {
        let p = softmax(logits)
        let kept = p[1] + p[2] + p[4]
        // exp(-2) < 0.2 < exp(-1.5)
        expectClose(shares(logits) { $0.minP = 0.2 }, [0, p[1] / kept, p[2] / kept, 0, p[4] / kept])
        expectClose(shares(logits) { ($0.minP, $0.topK) = (0.2, 4) }, [0, p[1] / kept, p[2] / kept, 0, p[4] / kept])
    }

    @Test func biasesAndMasks() {
        #expect(shares(logits, draws: 9) { ($0.temperature, $0.logitBias) = (0, [3: 100]) }[3] == 1)
        #expect(shares(logits, draws: 9) { ($0.temperature, $0.allowedTokens) = (0, [0, 3]) }[0] == 1)
        #expect(shares(logits, draws: 9) { ($0.temperature, $0.badWords) = (0, [[2]]) }[1] == 1)
        #expect(shares(logits, draws: 9, output: [4]) { ($0.temperature, $0.badWords) = (0, [[4, 2]]) }[1] == 1)
        #expect(shares(logits, draws: 9, output: [1]) { ($0.temperature, $0.badWords) = (0, [[4, 2]]) }[2] == 1)
        // Token 0 is the end token.
        #expect(shares([9, 1, 2], draws: 9) { ($0.temperature, $0.minTokens) = (0, 1) }[2] == 1)
        #expect(shares([9, 1, 2], draws: 9, output: [1]) { ($0.temperature, $0.minTokens) = (0, 1) }[0] == 1)
    }

    @Test func penaltiesCountOutput() {
        var scratch = SamplerScratch(vocabularySize: 3)
        func run(_ change: (inout SamplingParameters) -> Void, prompt: [Int32] = [], logits: [Float]) -> [Int32] {
            var parameters = SamplingParameters.greedy
            change(&parameters)
            var sampler = SequenceSampler(
                parameters: parameters, seed: 0, sampleIndex: 0, prompt: prompt, endTokens: [])
            var output: [Int32] = []
            for _ in 0..<4 {
                var row = logits
                let token = row.withUnsafeMutableBufferPointer {
                    sampler.sample($0, output: output[...], scratch: &scratch)?.token ?? 0
                }
                output.append(token)
            }
            return output
        }
        #expect(run({ $0.presencePenalty = 1 }, logits: [0, 2.1, 3]) == [2, 1, 2, 2])
        #expect(run({ $0.frequencyPenalty = 1 }, logits: [0, 2.1, 3]) == [2, 1, 2, 1])
        #expect(run({ $0.repetitionPenalty = 2 }, logits: [1, 2, 3]) == [2, 1, 2, 2])
        #expect(run({ $0.repetitionPenalty = 2 }, prompt: [2], logits: [1, 2, 3])[0] == 1)
        #expect(run({ $0.repetitionPenalty = 2 }, prompt: [2], logits: [-4, -3, -2])[0] == 1)
    }

    @Test(arguments: 0...6) func asManyOfTheLikeliestAsAskedFor(top: Int) throws {
        var parameters = SamplingParameters.greedy
        parameters.logprobs = top
        var sampler = SequenceSampler(parameters: parameters, seed: 0, sampleIndex: 0, prompt: [], endTokens: [])
        var scratch = SamplerScratch(vocabularySize: 5)
        var row: [Float] = [1, 4, 5, 2, 3]
        let sampled = row.withUnsafeMutableBufferPointer {
            sampler.sample($0, output: [], scratch: &scratch)
        }
        let (token, reported) = try #require(sampled)
        let logprobs = try #require(reported)
        #expect(token == 2 && logprobs.chosen.token == 2 && logprobs.chosen.rank == 1)
        #expect(logprobs.top.map(\.token) == Array([2, 1, 4, 3, 0].prefix(top)))
    }

    @Test func logprobsAreOfTheModelNotOfTheSampling() throws {
        var parameters = SamplingParameters.greedy
        parameters.logprobs = 2
        parameters.logitBias = [3: 100]
        var sampler = SequenceSampler(parameters: parameters, seed: 0, sampleIndex: 0, prompt: [], endTokens: [])
        var scratch = SamplerScratch(vocabularySize: 5)
        var row = logits
        let sampled = row.withUnsafeMutableBufferPointer {
            sampler.sample($0, output: [], scratch: &scratch)
        }
        let (token, reported) = try #require(sampled)
        let logprobs = try #require(reported)
        let expected = softmax(logits).map { log($0) }
        #expect(token == 3)
        #expect(logprobs.chosen.rank == 5)
        #expect(logprobs.top.map(\.token) == [2, 1])
        #expect(abs(Double(logprobs.chosen.logprob) - expected[3]) < 1e-5)
        #expect(abs(Double(logprobs.top[1].logprob) - expected[1]) < 1e-5)
    }

    @Test(arguments: [
        [Float.nan, 1, 2], [.infinity, 1, 2], [-.infinity, -.infinity, -.infinity], [.nan, .nan, .nan],
        [3e38, -3e38, 3e38],
    ]) func strangeLogitsStillGiveAToken(logits: [Float]) {
        for topK in [-1, 2] {
            let result = shares(logits, draws: 3) { $0.topK = topK }
            #expect(abs(result.reduce(0, +) - 1) < 1e-9)
        }
    }
}
