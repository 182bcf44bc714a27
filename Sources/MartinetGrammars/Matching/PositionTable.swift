/// The places inside routines that matching distinguishes: each stands for a set of nodes of a ``GrammarNetwork``, and is
/// made when matching first comes to it.
///
/// Left recursion ends here. A rule that calls itself before it reads anything is read from the inside out: matching
/// starts with what does not recurse, and where that ends, it goes on behind the call that it stands for.
struct PositionTable {
    /// A call that a position can make: what, and the position to go on from.
    struct Call {
        let routine: Int32
        let next: Int32
        /// Whether nothing is left to do after it but to return.
        let isLast: Bool
    }

    private struct Position {
        let content: Content
        /// The routine that it belongs to.
        let owner: Int32
        let isFinal: Bool
        let readsBytes: Bool
        var calls: [Call]?
        /// The position that stands for it where few bytes are looked at.
        let alike: Int32
    }

    private enum Content: Hashable {
        case nodes([Int32])
        /// A state of an automaton; its start is told apart, since a text does not end there.
        case automaton(Int32, state: Int32, isStart: Bool)
    }

    private struct Key: Hashable {
        let content: Content
        let owner: Int32
    }

    /// Where nothing leads to.
    static let none: Int32 = -1
    private static let unknown: Int32 = -2
    /// The most routines that are built ahead of matching.
    private static let builtLimit = 2048
    /// Positions from which on a grammar is compiled anew for the next text.
    private static let fullCount = 16384

    private var network: GrammarNetwork
    private var positions: [Position] = []
    private var numbers: [Key: Int32] = [:]
    private var alike: [Key: Int32] = [:]
    private var rows: [Int32] = []
    private var starts: [Int32: Int32] = [:]
    private var ranks: [Int32: Int] = [:]
    private var ends: [Int32: Int32] = [:]

    /// - Parameters:
    ///   - horizon: the most bytes that a mask looks ahead.
    init(rules: GrammarRules, horizon: Int) {
        network = GrammarNetwork(rules: rules, horizon: horizon)
    }

    /// Positions made so far.
    var count: Int { positions.count }
    /// Whether the grammar has come to its bound.
    var isExhausted: Bool { network.isExhausted }
    /// Whether so much has been made that it is better to begin again.
    var isFull: Bool { positions.count > Self.fullCount || isExhausted }

    /// The position before a whole text. Unlike the start of a routine that is called, it may be the end as well.
    mutating func first(_ rules: GrammarRules, _ node: GrammarNode) -> Int32 {
        let root = rules.add { node }
        let routine = network.add(.rule(rules.add { .rule(root) }))
        network.build(routine)
        return position(network.reached(from: [network.routines[Int(routine)].first]), owner: routine)
    }

    /// Builds the routines that can be reached, as far as there are not very many, so that matching finds them ready.
    ///
    /// - Throws: when they are beyond the bounds.
    mutating func buildAll() throws(GrammarError) {
        var routine: Int32 = 0
        while routine < min(network.routines.count, Self.builtLimit), !isExhausted {
            network.build(routine)
            _ = start(routine)
            routine += 1
        }
        if isExhausted {
            throw GrammarError(
                """
                the grammar takes more than \(GrammarNetwork.nodeLimit) states, or nests \
                \(GrammarNetwork.depthLimit) deep in one rule; use smaller repetitions and fewer alternatives
                """)
        }
    }

    // MARK: - Asking

    /// Whether the routine may end here.
    func isFinal(_ position: Int32) -> Bool { positions[Int(position)].isFinal }
    /// Whether some byte may be read here, without calls and returns.
    func readsBytes(_ position: Int32) -> Bool { positions[Int(position)].readsBytes }
    /// A position that allows the same texts up to the horizon.
    func alike(_ position: Int32) -> Int32 { positions[Int(position)].alike }

    /// Where a byte leads, without calls and returns.
    mutating func next(_ position: Int32, _ byte: UInt8) -> Int32 {
        let place = Int(position) << 8 | Int(byte)
        let known = rows[place]
        if known != Self.unknown { return known }
        let next = find(position, byte)
        rows[place] = next
        return next
    }

    private mutating func find(_ position: Int32, _ byte: UInt8) -> Int32 {
        let owner = positions[Int(position)].owner
        switch positions[Int(position)].content {
        case .automaton(let routine, let state, _):
            guard case .automaton(let automaton) = network.routines[Int(routine)].body else { return Self.none }
            let next = automaton.next(state, byte)
            return next == ByteAutomaton.dead ? Self.none : self.position(automaton, routine, state: next, isStart: false)
        case .nodes(let nodes):
            var targets: [Int32] = []
            for node in nodes {
                switch network.nodes[Int(node)] {
                case .byte(byte, let next): targets.append(next)
                case .set(let set, let next) where network.sets[Int(set)].contains(byte): targets.append(next)
                default: break
                }
            }
            return targets.isEmpty ? Self.none : self.position(network.reached(from: targets), owner: owner)
        }
    }

    /// The calls that a position can make.
    mutating func calls(_ position: Int32) -> [Call] {
        if let calls = positions[Int(position)].calls { return calls }
        var targets: [(routine: Int32, nodes: [Int32])] = []
        if case .nodes(let nodes) = positions[Int(position)].content {
            for case .call(let routine, let next) in nodes.map({ network.nodes[Int($0)] }) {
                if let place = targets.firstIndex(where: { $0.routine == routine }) {
                    targets[place].nodes.append(next)
                } else {
                    targets.append((routine, [next]))
                }
            }
        }
        let owner = positions[Int(position)].owner
        var calls: [Call] = []
        for (routine, nodes) in targets {
            let next = self.position(network.reached(from: nodes), owner: owner)
            // What ends a routine may follow itself any number of times, so calling oneself there is a loop.
            let isLast = isFinal(next) && (isEmpty(next) || (routine == owner && next == end(of: owner)))
            calls.append(Call(routine: routine, next: next, isLast: isLast))
        }
        positions[Int(position)].calls = calls
        return calls
    }

    private func isEmpty(_ position: Int32) -> Bool {
        switch positions[Int(position)].content {
        case .nodes(let nodes): nodes.count == 1
        case .automaton: !readsBytes(position)
        }
    }

    /// The position that a routine ends in, with all that may still follow.
    private mutating func end(of routine: Int32) -> Int32 {
        if let end = ends[routine] { return end }
        let end = position(network.reached(from: [ending(routine)]), owner: routine)
        ends[routine] = end
        return end
    }

    // MARK: - Starting a routine

    /// Where a routine begins when it is called. It is never final: that a call may match nothing is seen by the caller.
    mutating func start(_ routine: Int32) -> Int32 {
        if let start = starts[routine] { return start }
        prepare(routine)
        return starts[routine] ?? Self.none
    }

    /// Greater than the rank of every routine that this one calls before it reads anything.
    mutating func rank(_ routine: Int32) -> Int {
        _ = start(routine)
        return ranks[routine] ?? 0
    }

    /// The accepting node of a routine that recurses to the left, where it is not the network's own.
    private var endings: [Int32: Int32] = [:]

    private func ending(_ routine: Int32) -> Int32 { endings[routine] ?? network.routines[Int(routine)].accept }

    /// The nodes that a routine starts at, but not its end.
    private mutating func opening(_ routine: Int32) -> [Int32] {
        if case .automaton = network.routines[Int(routine)].body { return [] }
        network.build(routine)
        let accept = network.routines[Int(routine)].accept
        return network.reached(from: [network.routines[Int(routine)].first]).filter { $0 != accept }
    }

    private func called(_ nodes: [Int32]) -> [Int32] {
        nodes.compactMap { if case .call(let routine, _) = network.nodes[Int($0)] { routine } else { nil } }
    }

    /// Makes the starts of a routine and of all that it calls before it reads: Tarjan's strongly connected components.
    private mutating func prepare(_ routine: Int32) {
        struct Visit {
            let routine: Int32
            let opening: [Int32]
            let called: [Int32]
            var next = 0
        }
        var index: [Int32: Int] = [:]
        var low: [Int32: Int] = [:]
        var stack: [Int32] = []
        var onStack: Set<Int32> = []
        var visits: [Visit] = []
        var openings: [Int32: [Int32]] = [:]

        func enter(_ routine: Int32, _ table: inout PositionTable) {
            index[routine] = index.count
            low[routine] = index[routine]
            stack.append(routine)
            onStack.insert(routine)
            let opening = table.opening(routine)
            openings[routine] = opening
            visits.append(Visit(routine: routine, opening: opening, called: table.called(opening)))
        }

        enter(routine, &self)
        while let visit = visits.last {
            if visit.next < visit.called.count {
                visits[visits.count - 1].next += 1
                let called = visit.called[visit.next]
                if starts[called] != nil { continue }
                if index[called] == nil {
                    enter(called, &self)
                } else if onStack.contains(called) {
                    low[visit.routine] = min(low[visit.routine] ?? 0, index[called] ?? 0)
                }
                continue
            }
            visits.removeLast()
            if let caller = visits.last {
                low[caller.routine] = min(low[caller.routine] ?? 0, low[visit.routine] ?? 0)
            }
            guard low[visit.routine] == index[visit.routine] else { continue }
            var component: [Int32] = []
            while let member = stack.popLast() {
                onStack.remove(member)
                component.append(member)
                if member == visit.routine { break }
            }
            if component.count == 1, !visit.called.contains(visit.routine) {
                let start: Int32
                if case .automaton(let automaton) = network.routines[Int(visit.routine)].body {
                    start = position(automaton, visit.routine, state: 0, isStart: true)
                } else {
                    start = position(visit.opening, owner: visit.routine)
                }
                set(start: start, of: visit.routine)
            } else {
                for member in component { unwind(member, in: component, openings) }
            }
        }
    }

    private mutating func set(start: Int32, of routine: Int32) {
        starts[routine] = start
        var rank = 0
        if case .nodes(let nodes) = positions[Int(start)].content {
            for called in called(nodes) { rank = max(rank, (ranks[called] ?? 0) + 1) }
        }
        ranks[routine] = rank
    }

    /// Builds the nodes of one routine among some that call each other before they read anything: copies of all of them,
    /// begun where they do not recurse, each ending behind the calls to it.
    private mutating func unwind(_ goal: Int32, in component: [Int32], _ openings: [Int32: [Int32]]) {
        let members = Set(component)
        var copies: [Int32: Int32] = [:]
        var opening: [Int32] = []
        var returns: [Int32: [Int32]] = [:]
        for member in component {
            for node in openings[member] ?? [] {
                if case .call(let routine, let next) = network.nodes[Int(node)], members.contains(routine) {
                    returns[routine, default: []].append(network.copy(next, &copies))
                } else {
                    opening.append(network.copy(node, &copies))
                }
            }
        }
        let accept = network.append(.accept)
        for member in component {
            let end = network.copy(network.routines[Int(member)].accept, &copies)
            network.link(end, to: (returns[member] ?? []) + (member == goal ? [accept] : []))
            if member == goal { endings[goal] = end }
        }
        set(start: position(opening.sorted(), owner: goal), of: goal)
    }

    // MARK: - Making positions

    private mutating func position(_ nodes: [Int32], owner: Int32) -> Int32 {
        let key = Key(content: .nodes(nodes), owner: owner)
        if let number = numbers[key] { return number }
        var isFinal = false
        var readsBytes = false
        for node in nodes {
            switch network.nodes[Int(node)] {
            case .accept: isFinal = true
            case .byte, .set: readsBytes = true
            case .call, .split: break
            }
        }
        let likeness = Key(content: .nodes(nodes.map { network.likeness[Int($0)] }), owner: owner)
        return add(key, owner: owner, isFinal: isFinal, readsBytes: readsBytes, likeness: likeness)
    }

    private mutating func position(
        _ automaton: ByteAutomaton, _ routine: Int32, state: Int32, isStart: Bool
    ) -> Int32 {
        let key = Key(content: .automaton(routine, state: state, isStart: isStart), owner: routine)
        if let number = numbers[key] { return number }
        let isFinal = !isStart && automaton.accepts(state)
        let readsBytes = (UInt8.min...UInt8.max).contains { automaton.next(state, $0) != ByteAutomaton.dead }
        return add(key, owner: routine, isFinal: isFinal, readsBytes: readsBytes, likeness: key)
    }

    private mutating func add(_ key: Key, owner: Int32, isFinal: Bool, readsBytes: Bool, likeness: Key) -> Int32 {
        let number = Int32(positions.count)
        let other = alike[likeness] ?? number
        if other == number { alike[likeness] = number }
        positions.append(
            Position(
                content: key.content, owner: owner, isFinal: isFinal, readsBytes: readsBytes, calls: nil, alike: other))
        numbers[key] = number
        rows.append(contentsOf: repeatElement(Self.unknown, count: 256))
        return number
    }
}
