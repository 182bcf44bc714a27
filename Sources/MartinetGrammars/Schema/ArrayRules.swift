internal import Synchronization

/// The rules of arrays of one plan.
final class ArrayRules: Sendable {
    private let plan: ArrayPlan
    private let productive: Set<SchemaTerm>
    private let live: [Bool]
    private let nodes: TermNodes
    private let marks: JSONMarks
    /// The rules hold this, not the other way round.
    private unowned let rules: GrammarRules
    private let made = Mutex<[Int: GrammarRules.ID]>([:])

    init(_ plan: ArrayPlan, productive: Set<SchemaTerm>, nodes: TermNodes, marks: JSONMarks, rules: GrammarRules) {
        self.plan = plan
        self.productive = productive
        live = plan.liveStates(productive)
        self.nodes = nodes
        self.marks = marks
        self.rules = rules
    }

    /// A whole array.
    func node() -> GrammarNode {
        let (items, canBeEmpty) = plan.isSimple ? simpleItems() : (items(after: 0), plan.canClose[0])
        var choices: [GrammarNode] = canBeEmpty ? [.bytes([UInt8(ascii: "]")])] : []
        if let items { choices.append(items) }
        return .sequence([.bytes([UInt8(ascii: "[")]), marks.space, .choice(choices)])
    }

    // MARK: Items by their place

    /// One item or more and the end; and whether there may be none.
    private func simpleItems() -> (GrammarNode?, Bool) {
        let shape = plan.shape
        let maximum = plan.simpleMaximum(productive)
        guard maximum > 0, let first = nodes[shape.term(at: 0)] else { return (nil, true) }
        let end = GrammarNode.sequence([marks.space, .bytes([UInt8(ascii: "]")])])
        let others = others(from: 1, maximum: maximum)
        return (.sequence([first, others, end]), shape.minimum == 0)
    }

    /// What may follow the first so many items, without the end.
    private func others(from index: Int, maximum: Int) -> GrammarNode {
        let shape = plan.shape
        guard index < maximum, let item = nodes[shape.term(at: index)] else { return .empty }
        let next = GrammarNode.sequence([marks.space, .bytes([UInt8(ascii: ",")]), marks.gap, item])
        if index >= shape.prefix.count {
            return .counted(
                next, minimum: max(0, shape.minimum - index), maximum: maximum == .max ? nil : maximum - index,
                rules: rules)
        }
        let rest = GrammarNode.sequence([next, others(from: index + 1, maximum: maximum)])
        return index >= shape.minimum ? .choice([.empty, rest]) : rest
    }

    // MARK: Items that are counted

    private func rule(_ state: Int) -> GrammarRules.ID {
        made.withLock { made in
            if let id = made[state] { return id }
            let id = rules.add {
                self.marks.ending("]", more: self.items(after: state), canClose: self.plan.canClose[state])
            }
            made[state] = id
            return id
        }
    }

    private func items(after state: Int) -> GrammarNode? {
        let choices = plan.moves[state].compactMap { move -> GrammarNode? in
            guard live[move.target], productive.contains(move.term), let item = nodes[move.term] else { return nil }
            return .sequence([item, .rule(rule(move.target))])
        }
        return choices.isEmpty ? nil : choices.count == 1 ? choices[0] : .choice(choices)
    }
}
