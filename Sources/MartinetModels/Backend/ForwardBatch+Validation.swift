extension ForwardBatch {
    /// Checks a step before anything is read through its indices.
    ///
    /// - Throws: ``ModelError`` `invalid_batch` that names what is out of bounds.
    package func validate(limits: RunnerLimits, vocabularySize: Int) throws(ModelError) {
        func refuse(_ message: String) -> ModelError { ModelError(.invalidBatch, message) }
        guard tokens.count <= limits.maxBatchedTokens else {
            throw refuse("a step of \(tokens.count) tokens; the runner takes \(limits.maxBatchedTokens)")
        }
        guard logitTokens.count <= limits.maxLogitRows else {
            throw refuse("\(logitTokens.count) rows of logits are wanted; the runner has \(limits.maxLogitRows)")
        }
        if let wrong = tokens.first(where: { $0 < 0 || Int($0) >= vocabularySize }) {
            throw refuse("token \(wrong) is outside the vocabulary of \(vocabularySize)")
        }
        var next = 0
        for (index, slice) in slices.enumerated() {
            guard slice.tokens.lowerBound == next, !slice.tokens.isEmpty, slice.tokens.upperBound <= tokens.count else {
                throw refuse("slice \(index) has tokens \(slice.tokens), but the next token of the step is \(next)")
            }
            next = slice.tokens.upperBound
            guard slice.start >= 0, slice.start <= limits.maxModelLength - slice.tokens.count else {
                throw refuse(
                    "slice \(index) starts at position \(slice.start) with \(slice.tokens.count) tokens; sequences have "
                        + "at most \(limits.maxModelLength)")
            }
            let end = slice.start + slice.tokens.count
            let needed = (end + limits.blockSize - 1) / limits.blockSize
            guard slice.blocks.count >= needed else {
                throw refuse(
                    "slice \(index) needs \(needed) KV blocks for \(end) positions and has \(slice.blocks.count)")
            }
            if let wrong = slice.blocks.prefix(needed).first(where: { $0 < 0 || Int($0) >= limits.blockCount }) {
                throw refuse("slice \(index) names KV block \(wrong); the pool has \(limits.blockCount)")
            }
        }
        guard next == tokens.count else {
            throw refuse("the slices cover \(next) of the step's \(tokens.count) tokens")
        }
        var previous = -1
        for index in logitTokens {
            guard index > previous, index < tokens.count else {
                throw refuse("logits of token \(index) are wanted; indices ascend and lie in 0..<\(tokens.count)")
            }
            previous = index
        }
    }
}

extension RunnerLimits {
    /// The most that ``blockCount`` may be.
    package static let maxBlockCount = 1 << 24

    /// Checks that the bounds are positive and that their products can be counted.
    ///
    /// - Throws: ``ModelError`` `invalid_setting` that names the bound.
    package func validate() throws(ModelError) {
        let bounds = [
            ("maxBatchedTokens", maxBatchedTokens, 1 << 20), ("maxLogitRows", maxLogitRows, 1 << 20),
            ("maxModelLength", maxModelLength, 1 << 26), ("blockSize", blockSize, 1 << 12),
            ("blockCount", blockCount, Self.maxBlockCount),
        ]
        for (name, value, most) in bounds where value < 1 || value > most {
            throw ModelError(.invalidSetting, "\(name) is \(value); it must be 1...\(most)")
        }
    }
}
