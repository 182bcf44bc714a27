internal import Synchronization

/// A JSON string's inside as one rule for each state of its automaton, for automata too large to spell out in bytes.
final class StringRules: Sendable {
    private let language: RegularLanguage
    private let style: ByteSpelling.Style
    /// The rules hold this, not the other way round.
    private unowned let rules: GrammarRules
    private let made = Mutex<[Int32: GrammarRules.ID]>([:])

    init(_ language: RegularLanguage, style: ByteSpelling.Style, rules: GrammarRules) {
        self.language = language
        self.style = style
        self.rules = rules
    }

    /// What may stand from a state on.
    func rule(_ state: Int32) -> GrammarRules.ID {
        made.withLock { made in
            if let id = made[state] { return id }
            let id = rules.add { self.node(state) }
            made[state] = id
            return id
        }
    }

    private func node(_ state: Int32) -> GrammarNode {
        var symbols: [Int32: [Int]] = [:]
        for symbol in 0..<language.alphabet.count where language.next(state, symbol) >= 0 {
            symbols[language.next(state, symbol), default: []].append(symbol)
        }
        let sets = language.alphabet.sets
        var choices: [GrammarNode] = language.accepting[Int(state)] ? [.empty] : []
        for (target, symbols) in symbols.sorted(by: { $0.key < $1.key }) {
            let set = ScalarSet(symbols.flatMap { sets[$0].ranges })
            // One scalar: its automaton has two states and is far from every bound.
            guard let one = try? RegularLanguage(oneOf: set, Effort()),
                let automaton = try? ByteSpelling.automaton(one, style: style, Effort())
            else { continue }
            choices.append(.sequence([.automaton(automaton), .rule(rule(target))]))
        }
        return .choice(choices)
    }
}

extension RegularLanguage {
    /// Texts of one scalar of a set.
    init(oneOf set: ScalarSet, _ effort: Effort) throws(GrammarError) {
        self = try ScalarNetwork(.set(set)).language(effort)
    }
}
