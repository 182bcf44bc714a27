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
    private let made = Mutex<[ObjectPlan.State: GrammarRules.ID]>([:])

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
        let start = ObjectPlan.State()
        var choices: [GrammarNode] = plan.canClose(start) ? [.bytes([UInt8(ascii: "}")])] : []
        if let members = members(after: start) { choices.append(members) }
        return .sequence([.bytes([UInt8(ascii: "{")]), marks.space, .choice(choices)])
    }

    private func rule(_ state: ObjectPlan.State) -> GrammarRules.ID {
        made.withLock { made in
            if let id = made[state] { return id }
            let id = rules.add {
                self.marks.ending("}", more: self.members(after: state), canClose: self.plan.canClose(state))
            }
            made[state] = id
            return id
        }
    }

    /// The next member and all that follows it; `nil` when there can be none.
    private func members(after state: ObjectPlan.State) -> GrammarNode? {
        var choices: [GrammarNode] = []
        for move in plan.moves(state, isProductive) {
            guard let value = nodes[plan.entries[move.entry].term] else { continue }
            choices.append(
                .sequence([
                    names[move.entry], .bytes([UInt8(ascii: "\"")]), marks.space, .bytes([UInt8(ascii: ":")]),
                    marks.space,
                    value, .rule(rule(move.target)),
                ]))
        }
        guard !choices.isEmpty else { return nil }
        return .sequence([.bytes([UInt8(ascii: "\"")]), choices.count == 1 ? choices[0] : .choice(choices)])
    }
}
