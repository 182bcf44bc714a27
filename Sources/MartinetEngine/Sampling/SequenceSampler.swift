internal import CMartinetKernels
internal import Foundation
internal import MartinetGrammars

/// Chooses the tokens of one sequence: changes its logits as its parameters say, and draws from what is left.
package struct SequenceSampler {
    private let parameters: SamplingParameters
    private let random: CounterRandom
    private let stream: UInt64
    private let endTokens: [Int32]
    private let prompt: Set<Int32>
    private var outputCounts: [Int32: Int32] = [:]
    /// Where the output stands in its grammar.
    private var matcher: GrammarMatcher?

    /// Makes a sampler.
    ///
    /// - Parameters:
    ///   - seed: fixes the randomness together with `sampleIndex`.
    ///   - prompt: the prompt's tokens, which the repetition penalty counts.
    ///   - emitted: tokens generated before, which count as output.
    ///   - endTokens: tokens that end the generation, held back until `minTokens`.
    package init(
        parameters: SamplingParameters, seed: UInt64, sampleIndex: Int, prompt: [Int32], emitted: [Int32] = [],
        endTokens: Set<Int32>
    ) {
        self.parameters = parameters
        random = CounterRandom(seed: seed)
        stream = UInt64(sampleIndex)
        self.endTokens = Array(endTokens)
        self.prompt = parameters.repetitionPenalty == 1 ? [] : Set(prompt)
        if countsOutput { for token in emitted { outputCounts[token, default: 0] += 1 } }
    }

    /// Whether a grammar says what may come.
    package var isConstrained: Bool { matcher != nil }
    /// Whether the output may end here.
    package var mayEnd: Bool { matcher?.isComplete ?? true }
    /// Whether the output is whole and nothing can follow it.
    package var mustEnd: Bool { matcher?.mustEnd ?? false }

    /// Holds the output to a grammar from here on.
    ///
    /// - Parameter emitted: tokens generated before, which are the beginning of the output.
    /// - Returns: whether the grammar takes them.
    mutating func constrain(to grammar: CompiledGrammar, emitted: some Sequence<Int32>) -> Bool {
        var matcher = GrammarMatcher(grammar)
        for token in emitted {
            guard matcher.accept(token) else { return false }
        }
        self.matcher = matcher
        return true
    }

    /// Tells of tokens, one after the other, whether the grammar takes them behind the output.
    func makePreview() -> (Int32) -> Bool {
        guard var matcher else { return { _ in true } }
        return { matcher.accept($0) }
    }

    /// Chooses the token at output position `position` and counts it.
    ///
    /// - Parameters:
    ///   - logits: one value a token; changed.
    ///   - output: the tokens generated so far.
    /// - Returns: `nil` where the grammar and the other parameters together leave no token.
    package mutating func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, output: ArraySlice<Int32>, scratch: inout SamplerScratch
    ) -> (token: Int32, logprobs: TokenLogprobs?)? {
        let reported = parameters.logprobs.map { _ in LogSoftmax(logits, scratch: &scratch) }
        if reported != nil { scratch.keepRaw(logits) }
        process(logits, output: output)
        matcher?.mask().apply(to: logits)
        let token = Int32(truncatingIfNeeded: choose(logits, position: output.count, scratch: &scratch))
        if matcher != nil {
            guard logits.indices.contains(Int(token)), logits[Int(token)] > -.infinity,
                matcher?.accept(token) == true
            else { return nil }
        }
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
            let kept = threshold > 0 ? scratch.sum(from: threshold) : total
            return scratch.draw(uniform * kept, from: threshold) ?? likeliest
        }
        let candidates = candidates(total: total, scratch: &scratch)
        let target = uniform * candidates.reduce(0.0) { $0 + Double($1.weight) }
        var sum = 0.0
        // Where rounding leaves the target out of reach, the last.
        let drawn = candidates.first { candidate in
            sum += Double(candidate.weight)
            return sum > target
        }
        return (drawn ?? candidates.last).map { Int($0.token) } ?? likeliest
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

    // The vocabulary is walked through in vectors: for each token of each stream, a loop over single weights would cost
    // more than the rest of the sampler.

    /// Weights that are summed before they join a sum in double precision.
    private static let blockSize = 512

    mutating func collect(above threshold: Float) {
        candidates.removeAll(keepingCapacity: true)
        weights.withUnsafeBufferPointer { weights in
            Self.forBlocks(of: weights) { block in
                guard Self.maximum(of: block) >= threshold else { return true }
                for index in block.indices where block[index] >= threshold && block[index] > 0 {
                    candidates.append(Candidate(token: Int32(truncatingIfNeeded: index), weight: block[index]))
                }
                return true
            }
        }
    }

    /// The sum of the weights that are at least `threshold`.
    func sum(from threshold: Float) -> Double {
        var total = 0.0
        weights.withUnsafeBufferPointer { weights in
            Self.forBlocks(of: weights) { block in
                total += Self.sum(of: block, from: threshold)
                return true
            }
        }
        return total
    }

    /// The first token at which the running sum of weights of at least `threshold` passes `target`; the last that has
    /// such a weight where rounding leaves it out of reach.
    func draw(_ target: Double, from threshold: Float) -> Int? {
        var sum = 0.0
        var last: Int?
        weights.withUnsafeBufferPointer { weights in
            Self.forBlocks(of: weights) { block in
                let all = Self.sum(of: block, from: threshold)
                guard sum + all > target || block.endIndex == weights.endIndex else {
                    sum += all
                    if all > 0 { last = block.lastIndex { $0 >= threshold && $0 > 0 } ?? last }
                    return true
                }
                for index in block.indices where block[index] >= threshold && block[index] > 0 {
                    sum += Double(block[index])
                    last = index
                    if sum > target { return false }
                }
                return true
            }
        }
        return last
    }

    private static func forBlocks(
        of weights: UnsafeBufferPointer<Float>, _ body: (Slice<UnsafeBufferPointer<Float>>) -> Bool
    ) {
        var begin = 0
        while begin < weights.count {
            let end = min(weights.count, begin + blockSize)
            guard body(weights[begin..<end]) else { return }
            begin = end
        }
    }

    private static func sum(of block: Slice<UnsafeBufferPointer<Float>>, from threshold: Float) -> Double {
        Double(
            fold(block, SIMD16<Float>()) { sum, weights in
                sum + weights.replacing(with: 0, where: weights .< threshold)
            }.sum())
    }

    private static func maximum(of block: Slice<UnsafeBufferPointer<Float>>) -> Float {
        fold(block, SIMD16<Float>()) { pointwiseMax($0, $1) }.max()
    }

    /// Combines a block's vectors, the last one filled up with zeros.
    private static func fold(
        _ block: Slice<UnsafeBufferPointer<Float>>, _ start: SIMD16<Float>,
        _ combine: (SIMD16<Float>, SIMD16<Float>) -> SIMD16<Float>
    ) -> SIMD16<Float> {
        let floats = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: block))
        let width = MemoryLayout<SIMD16<Float>>.size
        var result = start
        var offset = 0
        while offset + width <= floats.count {
            result = combine(result, floats.loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self))
            offset += width
        }
        if offset < floats.count {
            var rest = SIMD16<Float>()
            withUnsafeMutableBytes(of: &rest) { $0.copyBytes(from: floats[offset...]) }
            result = combine(result, rest)
        }
        return result
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
        // Plain loops: this runs over the whole vocabulary for each token.
        let chosenLogit = logits[chosen]
        var rank = 1
        var index = 0
        while index < logits.count {
            if logits[index] > chosenLogit { rank += 1 }
            index += 1
        }
        var best: [Int] = []
        best.reserveCapacity(top + 1)
        // What a logit must pass; not a number passes nothing.
        var threshold = -Float.infinity
        index = 0
        while index < logits.count, top > 0 {
            let value = logits[index]
            if value > threshold || (best.count < top && value >= threshold) {
                if best.count == top { best.removeLast() }
                let place = best.firstIndex { logits[$0] < value } ?? best.count
                best.insert(index, at: place)
                if best.count == top { threshold = logits[best[top - 1]] }
            }
            index += 1
        }
        return TokenLogprobs(
            chosen: entry(chosen, rank: rank),
            top: best.enumerated().map { entry($0.element, rank: $0.offset + 1) })
    }
}
