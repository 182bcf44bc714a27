/// How much work lowering a source may cost. Schemas and expressions come from clients, and small ones can ask for
/// automata of any size.
package final class Effort {
    /// The most states that one automaton may have while it is built.
    package static let maximumStates = 1 << 15
    private var left: Int

    /// Work that may be done, in steps of a few nanoseconds.
    package init(steps: Int = 60_000_000) {
        left = steps
    }

    /// Takes steps away.
    ///
    /// - Throws: ``GrammarError`` when none are left.
    package func spend(_ steps: Int) throws(GrammarError) {
        left -= steps
        guard left >= 0 else {
            throw GrammarError("the grammar takes too much work to compile; simplify its patterns and bounds")
        }
    }

    func check(states: Int) throws(GrammarError) {
        guard states <= Self.maximumStates else {
            throw GrammarError(
                "the grammar needs an automaton of more than \(Self.maximumStates) states; lower its repetition counts")
        }
    }
}
