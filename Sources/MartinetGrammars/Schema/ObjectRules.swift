internal import Synchronization

/// The rules of objects of one plan: one for each state that a text comes to.
final class ObjectRules: Sendable {
    private let plan: ObjectPlan
    private let isProductive: [Bool]
    /// The insides of the strings that spell each entry's names.
    private let names: [GrammarNode]
    private let nodes: TermNodes
    private let marks: JSONMarks
    /// The rules hold this, not the other way round.
    private unowned let rules: GrammarRules
    private let made = Mutex<[Place: GrammarRules.ID]>([:])

    /// Where in an object a rule stands: behind a member, or before the first.
    private struct Place: Hashable {
        var state: ObjectPlan.State
        var isFirst: Bool
    }

    init(
        _ plan: ObjectPlan, isProductive: [Bool], names: [GrammarNode], nodes: TermNodes, marks: JSONMarks,
        rules: GrammarRules
    ) {
        self.plan = plan
        self.isProductive = isProductive
        self.names = names
        self.nodes = nodes
        self.marks = marks
        self.rules = rules
    }

    /// A whole object.
    func node() -> GrammarNode {
        let start = plan.start(isProductive)
        return .sequence([.bytes([UInt8(ascii: "{")]), marks.space, rest(Place(state: start, isFirst: true))])
    }

    private func rule(_ place: Place) -> GrammarRules.ID {
        made.withLock { made in
            if let id = made[place] { return id }
            let id = rules.add { self.rest(place) }
            made[place] = id
            return id
        }
    }

    /// All that may follow, with the object's end.
    private func rest(_ place: Place) -> GrammarNode {
        let (state, isFirst) = (place.state, place.isFirst)
        let more = members(after: state)
        let canClose = plan.canClose(state)
        var choices: [GrammarNode] = []
        if isFirst {
            choices = [more, canClose ? .bytes([UInt8(ascii: "}")]) : nil].compactMap(\.self)
        } else if more != nil || canClose {
            choices = [marks.ending("}", more: more, canClose: canClose)]
        }
        if let skipped = plan.skipping(state, isProductive) {
            choices.append(.rule(rule(Place(state: skipped, isFirst: isFirst))))
        }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    /// The next member and all that follows it; `nil` when there can be none.
    private func members(after state: ObjectPlan.State) -> GrammarNode? {
        var choices: [GrammarNode] = []
        for move in plan.moves(state, isProductive) {
            guard let value = nodes[plan.entries[move.entry].term] else { continue }
            choices.append(
                .sequence([
                    names[move.entry], .bytes([UInt8(ascii: "\"")]), marks.space, .bytes([UInt8(ascii: ":")]),
                    marks.gap,
                    value, .rule(rule(Place(state: move.target, isFirst: false))),
                ]))
        }
        guard !choices.isEmpty else { return nil }
        return .sequence([.bytes([UInt8(ascii: "\"")]), choices.count == 1 ? choices[0] : .choice(choices)])
    }
}
