/// What items an array of some shape may have, where they must be counted or told apart: a graph of states.
struct ArrayPlan: Sendable {
    /// What matters of the items so far.
    struct State: Hashable, Sendable {
        /// Items, up to where it no longer matters.
        var index = 0
        /// The items of each tally, up to where it no longer matters.
        var counts: [Int]
        /// The values seen, where all must be different.
        var seen: Set<SchemaTerm> = []
    }

    /// An item and the number of the state that it leads to.
    struct Move: Sendable {
        var term: SchemaTerm
        var target: Int
    }

    private static let maximumStates = 4_096
    private static let maximumPrefix = 512
    private static let maximumValues = 64

    let shape: ArrayShape
    /// Whether only the place of an item matters; then there is no graph.
    let isSimple: Bool
    private(set) var moves: [[Move]] = []
    private(set) var canClose: [Bool] = []

    init(_ shape: ArrayShape, _ reader: SchemaReader) throws(GrammarError) {
        guard shape.prefix.count <= Self.maximumPrefix else {
            throw GrammarError("an array has more than \(Self.maximumPrefix) items with schemas of their own")
        }
        self.shape = shape
        let isUnique = shape.isUnique && shape.maximum ?? .max > 1
        isSimple = !isUnique && shape.tallies.isEmpty
        if !isSimple { try explore(isUnique: isUnique, reader) }
    }

    private mutating func explore(isUnique: Bool, _ reader: SchemaReader) throws(GrammarError) {
        let tallies = Array(shape.tallies)
        let limit = max(shape.prefix.count, shape.minimum, shape.maximum ?? 0, tallies.map(\.start).max() ?? 0)
        var numbers: [State: Int] = [:]
        var states: [State] = []
        var values: [SchemaTerm: [SchemaTerm]] = [:]
        func number(_ state: State) throws(GrammarError) -> Int {
            if let number = numbers[state] { return number }
            guard states.count < Self.maximumStates else {
                throw GrammarError(
                    "`contains` and `uniqueItems` with such bounds, or so many values, need more than "
                        + "\(Self.maximumStates) states")
            }
            numbers[state] = states.count
            states.append(state)
            return states.count - 1
        }
        _ = try number(State(counts: [Int](repeating: 0, count: tallies.count)))
        var position = 0
        while position < states.count {
            let state = states[position]
            position += 1
            canClose.append(
                state.index >= shape.minimum && zip(tallies, state.counts).allSatisfy { $1 >= $0.minimum })
            moves.append([])
            guard shape.maximum.map({ state.index < $0 }) ?? true else { continue }
            var items = [(term: shape.term(at: state.index), counts: state.counts)]
            for (index, tally) in tallies.enumerated() where state.index >= tally.start {
                items = items.flatMap { Self.tallied($0, index, tally) }
            }
            try effortCheck(items.count, reader)
            for item in items {
                var target = State(index: min(state.index + 1, limit), counts: item.counts, seen: state.seen)
                guard isUnique else {
                    if !item.term.isNever {
                        moves[position - 1].append(Move(term: item.term, target: try number(target)))
                    }
                    continue
                }
                if values[item.term] == nil {
                    values[item.term] = try reader.constants(of: item.term, Self.maximumValues)
                }
                for value in values[item.term] ?? [] where !state.seen.contains(value) {
                    target.seen = state.seen.union([value])
                    moves[position - 1].append(Move(term: value, target: try number(target)))
                }
            }
        }
    }

    private func effortCheck(_ count: Int, _ reader: SchemaReader) throws(GrammarError) {
        try reader.effort.spend(count * 200)
        guard count <= 256 else { throw GrammarError("an array counts its items in too many ways") }
    }

    /// An item with what it is for one tally: of its kind, not of it, or either where that does not matter.
    private static func tallied(
        _ item: (term: SchemaTerm, counts: [Int]), _ index: Int, _ tally: ArrayShape.Tally
    ) -> [(term: SchemaTerm, counts: [Int])] {
        let count = item.counts[index]
        var more = item
        more.term = item.term.and(tally.term)
        more.counts[index] += 1
        guard let maximum = tally.maximum else { return count < tally.minimum ? [item, more] : [item] }
        var items = tally.term.opposites.map { (term: item.term.and($0), counts: item.counts) }
        if count < maximum { items.append(more) }
        return items
    }

    /// The terms of its items.
    var terms: [SchemaTerm] {
        isSimple ? shape.prefix + [shape.rest] : Array(Set(moves.joined().map(\.term)))
    }

    /// How many items there may be when only these terms match something; less than the minimum when none may.
    func simpleMaximum(_ productive: Set<SchemaTerm>) -> Int {
        let limit = shape.maximum ?? .max
        let blocked = (0...shape.prefix.count).first { !productive.contains(shape.term(at: $0)) }
        return min(limit, blocked ?? .max)
    }

    /// From which states of the graph an array can be ended.
    func liveStates(_ productive: Set<SchemaTerm>) -> [Bool] {
        var live = canClose
        var changed = true
        while changed {
            changed = false
            for state in live.indices.reversed() where !live[state] {
                if moves[state].contains(where: { live[$0.target] && productive.contains($0.term) }) {
                    live[state] = true
                    changed = true
                }
            }
        }
        return live
    }

    /// Whether some array is like this.
    func isProductive(_ productive: Set<SchemaTerm>) -> Bool {
        isSimple ? simpleMaximum(productive) >= shape.minimum : liveStates(productive).first == true
    }
}
