internal import Synchronization

/// A grammar that is ready to match tokens of one vocabulary. All sequences that use it share it: the positions and masks
/// that one comes to are there for the next.
package final class CompiledGrammar: Sendable {
    struct State {
        var positions: PositionTable
        var masks = MaskTable()
    }

    let vocabulary: GrammarVocabulary
    let first: Int32
    private let endMask: TokenMask
    private let state: Mutex<State>

    /// Compiles a lowered grammar.
    ///
    /// - Throws: when it is beyond the bounds.
    package init(
        _ node: GrammarNode, rules: GrammarRules, vocabulary: GrammarVocabulary
    ) throws(GrammarError) {
        var positions = PositionTable(rules: rules, horizon: vocabulary.trie.depth)
        first = positions.first(rules, node)
        try positions.buildAll()
        self.vocabulary = vocabulary
        var endMask = TokenMask(count: vocabulary.count)
        for token in vocabulary.endTokens { endMask.insert(token) }
        self.endMask = endMask
        state = Mutex(State(positions: positions))
    }

    /// Whether matching has made so much of it that the next text had better have it compiled anew.
    var isFull: Bool { withPositions { $0.isFull } }

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
