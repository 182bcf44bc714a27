package import MartinetModels

/// Collects what becomes a prompt's embedding, chunk by chunk.
///
/// Sums run from token to token, so they have the same bits however a prompt is cut.
package struct HiddenStatePool {
    private let pooling: Pooling
    private let tokenCount: Int
    private var sums: [Double] = []

    /// Begins with nothing.
    ///
    /// - Parameter tokenCount: tokens in the prompt.
    package init(pooling: Pooling, tokenCount: Int) {
        self.pooling = pooling
        self.tokenCount = tokenCount
    }

    /// Whether every token must be computed, none taken from the prefix cache.
    package var needsEveryToken: Bool { pooling != .last }

    /// Forgets what it got: the prompt is computed again.
    package mutating func reset() { sums = [] }

    /// Takes the hidden states of the prompt's next tokens.
    ///
    /// - Parameters:
    ///   - rows: one after the other.
    ///   - width: elements in each.
    ///   - start: the position of the first.
    package mutating func add(_ rows: UnsafeBufferPointer<Float>, width: Int, start: Int) {
        if sums.isEmpty { sums = Array(repeating: 0, count: width) }
        for offset in 0..<rows.count / max(1, width) {
            let position = start + offset
            let isWanted =
                switch pooling {
                case .mean: true
                case .cls: position == 0
                case .last: position == tokenCount - 1
                }
            guard isWanted else { continue }
            let row = rows[offset * width..<(offset + 1) * width]
            for (index, value) in zip(sums.indices, row) { sums[index] += Double(value) }
        }
    }

    /// The vector, when all tokens have come.
    package var embedding: Embedding {
        let divisor = pooling == .mean ? Double(max(1, tokenCount)) : 1
        return Embedding(values: sums.map { Float($0 / divisor) })
    }
}
