internal import Synchronization

/// A grammar that is ready to match tokens of one vocabulary. All sequences that use it share it: the positions and masks
/// that one comes to are there for the next.
package final class CompiledGrammar: Sendable {
    struct State {
        var positions: PositionTable
        var masks = MaskTable()
    }

    /// Positions, and the one before a whole text.
    struct Start {
        var positions: PositionTable
        let first: Int32

        /// - Throws: when the grammar is beyond the bounds.
        init(_ node: GrammarNode, rules: GrammarRules, horizon: Int) throws(GrammarError) {
            positions = PositionTable(rules: rules, horizon: horizon)
            first = positions.first(rules, node)
            try positions.buildAll()
        }
    }

    let vocabulary: GrammarVocabulary
    let first: Int32
    private let endMask: TokenMask
    private let state: Mutex<State>

    /// Compiles a lowered grammar.
    ///
    /// - Throws: when it is beyond the bounds.
    package convenience init(
        _ node: GrammarNode, rules: GrammarRules, vocabulary: GrammarVocabulary
    ) throws(GrammarError) {
        try self.init(Start(node, rules: rules, horizon: vocabulary.trie.depth), vocabulary: vocabulary)
    }

    init(_ start: Start, vocabulary: GrammarVocabulary) {
        first = start.first
        self.vocabulary = vocabulary
        var endMask = TokenMask(count: vocabulary.count)
        for token in vocabulary.endTokens { endMask.insert(token) }
        self.endMask = endMask
        state = Mutex(State(positions: start.positions))
    }

    /// Whether matching has made so much of it that the next text had better have it compiled anew.
    package var isFull: Bool { withPositions { $0.isFull } }
    /// Positions that matching has come to so far.
    package var positionCount: Int { withPositions { $0.count } }
    /// Masks that are kept.
    package var keptMaskCount: Int { state.withLock { $0.masks.count } }

    func withPositions<Result>(_ body: (inout PositionTable) -> Result) -> Result {
        state.withLock { body(&$0.positions) }
    }

    func mask(_ configurations: [Configuration], _ frames: FrameStore) -> TokenMask {
        var (mask, isComplete) = state.withLock { state in
            let (open, isComplete) = state.positions.returns(from: configurations, frames)
            let mask = state.masks.mask(open, frames, &state.positions, vocabulary.trie, count: vocabulary.count)
            return (mask, isComplete)
        }
        if isComplete { mask.formUnion(endMask) }
        return mask
    }
}
