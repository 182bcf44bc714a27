package import MartinetModels

/// A fake runner without a model: its logits are a hash of all the tokens that it finds in the sequence's KV blocks.
/// A block that is lost, shared wrongly, or computed twice changes what comes out.
package final class HistoryRunner: ModelRunner {
    package let configuration: ModelConfiguration
    package let limits: RunnerLimits
    package let memory = RunnerMemory(weights: 0, keyValueCache: 0, scratch: 0)
    /// Fails at this step, where set.
    package var failsAtStep: Int?
    /// Added to the logit of the token that stood five places earlier: text that mostly repeats itself.
    package var repetition: Float = 0
    /// The most sequences and tokens seen in a step.
    package private(set) var largestBatch = (sequences: 0, tokens: 0)
    private var slots: [Int32]
    private var logits: UnsafeMutableBufferPointer<Float>
    private var states: UnsafeMutableBufferPointer<Float>
    private var steps = 0

    package init(limits: RunnerLimits, vocabularySize: Int = 64) {
        self.limits = limits
        configuration = ModelConfiguration(
            architecture: "history", vocabularySize: vocabularySize, hiddenSize: Self.hiddenSize, intermediateSize: 1,
            layerCount: 1,
            headCount: 1, keyValueHeadCount: 1, headSize: 1, contextLength: limits.maxModelLength, normEpsilon: 0,
            rope: RopeConfiguration(theta: 1, rotarySize: 1, interleaved: false), tiedEmbeddings: true)
        slots = Array(repeating: -1, count: limits.blockCount * limits.blockSize)
        logits = .allocate(capacity: limits.maxLogitRows * vocabularySize)
        states = .allocate(capacity: limits.maxBatchedTokens * Self.hiddenSize)
    }

    deinit {
        logits.deallocate()
        states.deallocate()
    }

    /// Floats in a hidden state: the logits of the first tokens.
    package static let hiddenSize = 3

    package var hiddenStates: UnsafeBufferPointer<Float> { UnsafeBufferPointer(states) }

    package func forward(_ batch: ForwardBatch) throws(ModelError) -> UnsafeMutableBufferPointer<Float> {
        steps += 1
        if steps == failsAtStep { throw ModelError(.invalidBatch, "told to fail") }
        guard batch.tokens.count <= limits.maxBatchedTokens, batch.logitTokens.count <= limits.maxLogitRows else {
            throw ModelError(.invalidBatch, "step of \(batch.tokens.count) tokens, \(batch.logitTokens.count) rows")
        }
        largestBatch.sequences = max(largestBatch.sequences, batch.slices.count)
        largestBatch.tokens = max(largestBatch.tokens, batch.tokens.count)
        var row = 0
        for slice in batch.slices {
            for (offset, index) in slice.tokens.enumerated() {
                slots[slot(slice, slice.start + offset)] = batch.tokens[index]
                if batch.wantsHiddenStates {
                    let history = (0...(slice.start + offset)).map { slots[slot(slice, $0)] }
                    for element in 0..<Self.hiddenSize {
                        states[index * Self.hiddenSize + element] = Self.logit(history, element)
                    }
                }
                guard row < batch.logitTokens.count, batch.logitTokens[row] == index else { continue }
                let history = (0...(slice.start + offset)).map { slots[slot(slice, $0)] }
                for token in 0..<configuration.vocabularySize {
                    logits[row * configuration.vocabularySize + token] = Self.logit(history, token)
                }
                if history.count >= 5 {
                    logits[row * configuration.vocabularySize + Int(history[history.count - 5])] += repetition
                }
                row += 1
            }
        }
        return UnsafeMutableBufferPointer(rebasing: logits[..<(row * configuration.vocabularySize)])
    }

    private func slot(_ slice: SequenceSlice, _ position: Int) -> Int {
        Int(slice.blocks[position / limits.blockSize]) * limits.blockSize + position % limits.blockSize
    }

    /// The logit of a token after a history: between -4 and 4.
    package static func logit(_ history: [Int32], _ token: Int) -> Float {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 &+ UInt64(token)
        for value in history { hash = (hash ^ UInt64(UInt32(bitPattern: value))) &* 0x100_0000_01b3 }
        hash ^= hash >> 29
        hash = hash &* 0xbf58_476d_1ce4_e5b9
        return Float(hash >> 40) / Float(1 << 21) - 4
    }

    /// The greedy continuation of a prompt, computed without any engine.
    package static func greedy(_ prompt: [Int32], count: Int, vocabularySize: Int = 64) -> [Int32] {
        var tokens = prompt
        for _ in 0..<count {
            let scores = (0..<vocabularySize).map { logit(tokens, $0) }
            let best = scores.indices.max { scores[$0] < scores[$1] || (scores[$0] == scores[$1] && $0 > $1) }
            tokens.append(Int32(best ?? 0))
        }
        return Array(tokens.dropFirst(prompt.count))
    }
}
