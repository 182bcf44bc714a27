internal import CMartinetKernels
internal import Foundation

/// Chooses the tokens of one sequence: changes its logits as its parameters say, and draws from what is left.
package struct SequenceSampler {
    private let parameters: SamplingParameters
    private let random: CounterRandom
    private let stream: UInt64
    private let endTokens: [Int32]
    private let prompt: Set<Int32>
    private var outputCounts: [Int32: Int32] = [:]

    /// Makes a sampler.
    ///
    /// - Parameters:
    ///   - seed: fixes the randomness together with `sampleIndex`.
    ///   - prompt: the prompt's tokens, which the repetition penalty counts.
    ///   - endTokens: tokens that end the generation, held back until `minTokens`.
    package init(
        parameters: SamplingParameters, seed: UInt64, sampleIndex: Int, prompt: [Int32], endTokens: Set<Int32>
    ) {
        self.parameters = parameters
        random = CounterRandom(seed: seed)
        stream = UInt64(sampleIndex)
        self.endTokens = Array(endTokens)
        self.prompt = parameters.repetitionPenalty == 1 ? [] : Set(prompt)
    }

    /// Chooses the token at output position `position` and counts it.
    ///
    /// - Parameters:
    ///   - logits: one value a token; changed.
    ///   - output: the tokens generated so far.
    package mutating func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, output: ArraySlice<Int32>, scratch: inout SamplerScratch
    ) -> (token: Int32, logprobs: TokenLogprobs?) {
        let reported = parameters.logprobs.map { _ in LogSoftmax(logits, scratch: &scratch) }
        if reported != nil { scratch.keepRaw(logits) }
        process(logits, output: output)
        let token = Int32(truncatingIfNeeded: choose(logits, position: output.count, scratch: &scratch))
        if countsOutput { outputCounts[token, default: 0] += 1 }
        guard let reported, let top = parameters.logprobs else { return (token, nil) }
        let logprobs = scratch.raw.withUnsafeBufferPointer { reported.report(token, top: top, of: $0) }
        return (token, logprobs)
    }

    private var countsOutput: Bool {
        parameters.repetitionPenalty != 1 || parameters.presencePenalty != 0 || parameters.frequencyPenalty != 0
    }

    private func process(_ logits: UnsafeMutableBufferPointer<Float>, output: ArraySlice<Int32>) {
        let parameters = self.parameters
        if let allowed = parameters.allowedTokens {
            let kept = allowed.filter { logits.indices.contains(Int($0)) }.map { ($0, logits[Int($0)]) }
            logits.update(repeating: -.infinity)
            for (token, value) in kept { logits[Int(token)] = value }
        }
        for word in parameters.badWords where output.suffix(word.count - 1).elementsEqual(word.dropLast()) {
            if let last = word.last, logits.indices.contains(Int(last)) { logits[Int(last)] = -.infinity }
        }
        if output.count < parameters.minTokens {
            for token in endTokens where logits.indices.contains(Int(token)) { logits[Int(token)] = -.infinity }
        }
        for (token, bias) in parameters.logitBias where logits.indices.contains(Int(token)) {
            logits[Int(token)] += bias
        }
        let repetition = Float(parameters.repetitionPenalty)
        if repetition != 1 {
            func penalise(_ token: Int32) {
                guard logits.indices.contains(Int(token)) else { return }
                let value = logits[Int(token)]
                logits[Int(token)] = value > 0 ? value / repetition : value * repetition
            }
            for token in prompt { penalise(token) }
            for token in outputCounts.keys where !prompt.contains(token) { penalise(token) }
        }
        if parameters.presencePenalty != 0 || parameters.frequencyPenalty != 0 {
            for (token, count) in outputCounts where logits.indices.contains(Int(token)) {
                logits[Int(token)] -= Float(
                    parameters.presencePenalty + parameters.frequencyPenalty * Double(count))
            }
        }
    }

    private func choose(
        _ logits: UnsafeMutableBufferPointer<Float>, position: Int, scratch: inout SamplerScratch
    ) -> Int {
        guard let base = logits.baseAddress else { return 0 }
        let likeliest = scratch.kernels.pointee.argmax(base, logits.count)
        // Below this the division would overflow; the likeliest token has all the probability.
        guard parameters.temperature > 1e-5, parameters.topK != 1 else { return likeliest }
        let peak = logits[min(likeliest, logits.count - 1)]
        guard peak.isFinite else { return likeliest }
        let total = scratch.weights.withUnsafeMutableBufferPointer { weights in
            scratch.kernels.pointee.exp_sum(
                base, peak, Float(1 / parameters.temperature), weights.baseAddress, logits.count)
        }
        guard total.isFinite, total > 0 else { return likeliest }
        let uniform = random.uniform(UInt64(position), stream)

        let keepsAll = parameters.topP >= 1 && parameters.topK <= 0
        if keepsAll {
            // Weights are relative to the likeliest token, so min_p is a plain threshold on them.
            let threshold = Float(parameters.minP)
            let kept =
                threshold > 0
                ? scratch.weights.reduce(0.0) { $1 >= threshold ? $0 + Double($1) : $0 } : total
            return Self.draw(uniform * kept, likeliest: likeliest) { index in
                index < scratch.weights.count
                    ? (index, scratch.weights[index] >= threshold ? scratch.weights[index] : 0) : nil
            }
        }
        let candidates = candidates(total: total, scratch: &scratch)
        let kept = candidates.reduce(0.0) { $0 + Double($1.weight) }
        return Self.draw(uniform * kept, likeliest: likeliest) { index in
            index < candidates.count ? (Int(candidates[index].token), candidates[index].weight) : nil
        }
    }

    /// The tokens that top_k, top_p and min_p leave, likeliest first.
    private func candidates(total: Double, scratch: inout SamplerScratch) -> [SamplerScratch.Candidate] {
        let limit = parameters.topK > 0 ? min(parameters.topK, scratch.weights.count) : scratch.weights.count
        // Few tokens carry nearly all probability: sort those above a threshold, and lower it only where they do not do.
        for threshold in [Float(1e-2), 1e-4, 0] {
            scratch.collect(above: max(threshold, Float(parameters.minP)))
            let isComplete = threshold <= Float(parameters.minP)
            let mass = scratch.candidates.reduce(0.0) { $0 + Double($1.weight) }
            let enough = scratch.candidates.count >= limit || (parameters.topK <= 0 && mass >= parameters.topP * total)
            guard isComplete || enough else { continue }
            scratch.candidates.sort { ($0.weight, $1.token) > ($1.weight, $0.token) }
            var kept = scratch.candidates.prefix(limit)
            let base = parameters.topK > 0 ? kept.reduce(0.0) { $0 + Double($1.weight) } : total
            var sum = 0.0
            if let last = kept.firstIndex(where: {
                sum += Double($0.weight)
                return sum >= parameters.topP * base
            }) {
                kept = kept[...last]
            }
            return Array(kept)
        }
        return []
    }

    /// The first item at which the running sum of weights passes `target`.
    private static func draw(_ target: Double, likeliest: Int, items: (Int) -> (token: Int, weight: Float)?) -> Int {
        var sum = 0.0
        var index = 0
        var last = likeliest
        while let item = items(index) {
            if item.weight > 0 {
                sum += Double(item.weight)
                last = item.token
                if sum > target { return item.token }
            }
            index += 1
        }
        return last
    }
}

/// Memory that one engine's samplers share.
package struct SamplerScratch {
    struct Candidate {
        var token: Int32
        var weight: Float
    }

    let kernels: UnsafePointer<mk_kernels>
    var weights: [Float]
    var raw: [Float]
    var candidates: [Candidate] = []

    /// Reserves memory for a vocabulary.
    package init(vocabularySize: Int) {
        kernels = mk_kernels_best()
        weights = Array(repeating: 0, count: vocabularySize)
        raw = Array(repeating: 0, count: vocabularySize)
    }

    mutating func keepRaw(_ logits: UnsafeMutableBufferPointer<Float>) {
        raw.withUnsafeMutableBufferPointer { _ = $0.update(fromContentsOf: logits) }
    }

    mutating func collect(above threshold: Float) {
        candidates.removeAll(keepingCapacity: true)
        for index in weights.indices where weights[index] >= threshold && weights[index] > 0 {
            candidates.append(Candidate(token: Int32(truncatingIfNeeded: index), weight: weights[index]))
        }
    }
}

/// The normaliser of a row of logits, for log probabilities as the model gave them.
package struct LogSoftmax {
    private let normaliser: Double

    /// Sums the exponentials of a row of at most the vocabulary's size.
    package init(_ logits: UnsafeMutableBufferPointer<Float>, scratch: inout SamplerScratch) {
        let kernels = scratch.kernels.pointee
        guard let base = logits.baseAddress, logits.count <= scratch.weights.count else {
            normaliser = 0
            return
        }
        let peak = kernels.max(base, logits.count)
        let sum = scratch.weights.withUnsafeMutableBufferPointer {
            kernels.exp_sum(base, peak, 1, $0.baseAddress, logits.count)
        }
        normaliser = Double(peak) + log(sum)
    }

    /// The log probabilities of `token` and of the `top` likeliest tokens.
    package func report(_ token: Int32, top: Int, of logits: UnsafeBufferPointer<Float>) -> TokenLogprobs {
        func entry(_ token: Int, rank: Int) -> TokenLogprobs.Entry {
            // JSON knows no infinity; -9999 is what other servers report.
            .init(token: Int32(token), logprob: max(-9999, Float(Double(logits[token]) - normaliser)), rank: rank)
        }
        let chosen = min(max(0, Int(token)), logits.count - 1)
        let rank = logits.reduce(1) { $1 > logits[chosen] ? $0 + 1 : $0 }
        var best: [Int] = []
        for index in logits.indices where top > 0 {
            if best.count == top {
                guard let last = best.last, logits[index] > logits[last] else { continue }
                best.removeLast()
            }
            let place = best.firstIndex { logits[$0] < logits[index] } ?? best.count
            best.insert(index, at: place)
        }
        return TokenLogprobs(
            chosen: entry(chosen, rank: rank),
            top: best.enumerated().map { entry($0.element, rank: $0.offset + 1) })
    }
}
