public import MartinetModels

extension ModelRunner {
    /// Runs a whole sequence alone and shows the logits after each of its tokens, which are valid during the call alone.
    ///
    /// - Parameters:
    ///   - chunk: tokens in each step.
    ///   - blocks: its block table; by default the first blocks of the pool.
    ///   - lastOnly: whether to compute the last token's logits alone.
    public func withLogits(
        _ tokens: [Int32], chunk: Int = .max, blocks: [Int32]? = nil, lastOnly: Bool = false,
        _ body: (Int, UnsafeBufferPointer<Float>) throws -> Void
    ) throws {
        let most = min(chunk, limits.maxBatchedTokens, lastOnly ? .max : limits.maxLogitRows)
        let table = blocks ?? (0..<Int32((tokens.count + limits.blockSize - 1) / limits.blockSize)).map { $0 }
        var start = 0
        while start < tokens.count {
            let end = min(tokens.count, start + most)
            let wanted = lastOnly ? (end == tokens.count ? [end - start - 1] : []) : Array(0..<end - start)
            let logits = try forward(
                ForwardBatch(
                    tokens: Array(tokens[start..<end]),
                    slices: [SequenceSlice(tokens: 0..<end - start, start: start, blocks: table)],
                    logitTokens: wanted))
            let width = configuration.vocabularySize
            for (row, token) in wanted.enumerated() {
                try body(start + token, UnsafeBufferPointer(rebasing: logits[row * width..<(row + 1) * width]))
            }
            start = end
        }
    }

    /// Runs a whole sequence alone and returns the logits after each of its tokens.
    ///
    /// - Parameters:
    ///   - chunk: tokens in each step.
    ///   - blocks: its block table; by default the first blocks of the pool.
    public func allLogits(_ tokens: [Int32], chunk: Int = .max, blocks: [Int32]? = nil) throws -> [[Float]] {
        var rows: [[Float]] = []
        try withLogits(tokens, chunk: chunk, blocks: blocks) { rows.append(Array($1)) }
        return rows
    }

    /// Continues a sequence with the likeliest token each time.
    public func greedy(_ prompt: [Int32], count: Int, chunk: Int = .max) throws -> [Int32] {
        let blocks = (0..<Int32((prompt.count + count + limits.blockSize - 1) / limits.blockSize)).map { $0 }
        var logits: [Float] = []
        try withLogits(prompt, chunk: chunk, blocks: blocks, lastOnly: true) { logits = Array($1) }
        var tokens: [Int32] = []
        while true {
            var best = 0
            for (index, value) in logits.enumerated() where value > logits[best] { best = index }
            tokens.append(Int32(best))
            guard tokens.count < count else { return tokens }
            let batch = ForwardBatch(
                tokens: [Int32(best)],
                slices: [SequenceSlice(tokens: 0..<1, start: prompt.count + tokens.count - 1, blocks: blocks)],
                logitTokens: [0])
            logits = Array(try forward(batch))
        }
    }
}

extension RunnerLimits {
    /// Bounds for tests: a pool that just holds `tokens` positions, steps of at most `batch` tokens.
    public static func forTests(tokens: Int, batch: Int = 256, blockSize: Int = 16, spareBlocks: Int = 0)
        -> RunnerLimits
    {
        RunnerLimits(
            maxBatchedTokens: batch, maxLogitRows: batch, maxModelLength: tokens, blockSize: blockSize,
            blockCount: (tokens + blockSize - 1) / blockSize + spareBlocks)
    }
}
