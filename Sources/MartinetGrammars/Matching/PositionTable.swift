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

    /// What matching asks for at every byte.
    private struct Facts {
        /// How bytes are read: how to find where one leads.
        enum Reading {
            case nothing
            /// By one node of the network, which leads to one place.
            case node(Int32)
            /// By a row of ``rows``.
            case row(Int32)
            /// By a state of one of ``automata``.
            case automaton(Int32, state: Int32)
        }

        let reading: Reading
        /// Where the one node leads to.
        var target: Int32 = PositionTable.unknown
        let isFinal: Bool
        /// The position that stands for it where few bytes are looked at.
        let alike: Int32
        /// The routine that it belongs to.
        let owner: Int32
    }

    private enum Content: Hashable {
        case nodes([Int32])
        /// A state of an automaton; its start is told apart, since a text does not end there.
        case automaton(Int32, state: Int32, isStart: Bool)
    }

    /// An automaton that is called, and the positions of its states.
    private struct Automaton {
        let automaton: ByteAutomaton
        let routine: Int32
        var positions: [Int32]
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
    /// Positions from which on sets of nodes are no longer made one position each, so that there are never more than the
    /// network has nodes beyond these. The next text has the grammar compiled anew.
    private static let mergedLimit = 8192
    /// The most nodes in the sets of all positions. Beyond them there are no more positions.
    private static let contentLimit = 1 << 22

    private var network: GrammarNetwork
    private var facts: [Facts] = []
    private var contents: [Content] = []
    private var contentSize = 0
    private var calls: [[Call]?] = []
    private var automata: [Automaton] = []
    private var automatonNumbers: [Int32: Int32] = [:]
    private var numbers: [Key: Int32] = [:]
    private var alike: [Key: Int32] = [:]
    private var rows: [Int32] = []
    /// Positions to be in at once, where they are not made one since there are very many.
    private var several: [[Int32]] = []
    private var severalNumbers: [[Int32]: Int32] = [:]
    private var starts: [Int32: Int32] = [:]
    private var ranks: [Int32: Int] = [:]
    private var ends: [Int32: Int32] = [:]

    /// - Parameters:
    ///   - horizon: the most bytes that a mask looks ahead.
    init(rules: GrammarRules, horizon: Int) {
        network = GrammarNetwork(rules: rules, horizon: horizon)
    }

    /// Positions made so far.
    var count: Int { facts.count }
    /// Whether the grammar has come to its bound.
    var isExhausted: Bool { network.isExhausted || contentSize > Self.contentLimit }
    /// Whether little room is left for what has not been built yet.
    var isCrowded: Bool {
        network.routines.count > Self.builtLimit && network.nodes.count > GrammarNetwork.nodeLimit / 2
    }
    /// Whether so much has been made that it is better to begin again.
    var isFull: Bool { facts.count > Self.mergedLimit || isExhausted }

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
                the grammar takes more than \(GrammarNetwork.nodeLimit) states, nests more than \
                \(GrammarNetwork.depthLimit) deep in one rule, or has too many alternatives at once; use smaller \
                repetitions and fewer alternatives
                """)
        }
    }

    // MARK: - Asking

    /// Whether the routine may end here.
    func isFinal(_ position: Int32) -> Bool { facts[Int(position)].isFinal }
    /// Whether some byte may be read here, without calls and returns.
    func readsBytes(_ position: Int32) -> Bool {
        if case .nothing = facts[Int(position)].reading { false } else { true }
    }
    /// A position that allows the same texts up to the horizon.
    func alike(_ position: Int32) -> Int32 { facts[Int(position)].alike }

    /// Adds the places that a byte leads to, without calls and returns.
    @inline(__always)
    mutating func advance(_ configuration: Configuration, _ byte: UInt8, into result: inout [Configuration]) {
        let next = next(configuration.position, byte)
        if next >= 0 {
            result.append(Configuration(position: next, frame: configuration.frame))
        } else if next != Self.none {
            for next in several[Int(Self.unknown - 1 - next)] {
                result.append(Configuration(position: next, frame: configuration.frame))
            }
        }
    }

    /// A position, ``none``, or below ``unknown`` one of ``several``.
    private mutating func next(_ position: Int32, _ byte: UInt8) -> Int32 {
        let facts = facts[Int(position)]
        switch facts.reading {
        case .nothing: return Self.none
        case .node(let node):
            let next: Int32
            switch network.nodes[Int(node)] {
            case .byte(byte, let target): next = target
            case .set(let set, let target) where network.sets[Int(set)].contains(byte): next = target
            default: return Self.none
            }
            if facts.target != Self.unknown { return facts.target }
            let target = merged(network.reached(from: [next]), owner: facts.owner)
            self.facts[Int(position)].target = target
            return target
        case .row(let row):
            let known = rows[Int(row) << 8 | Int(byte)]
            if known != Self.unknown { return known }
            let next = find(position, byte)
            rows[Int(row) << 8 | Int(byte)] = next
            return next
        case .automaton(let number, let state):
            let next = automata[Int(number)].automaton.next(state, byte)
            if next == ByteAutomaton.dead { return Self.none }
            let known = automata[Int(number)].positions[Int(next)]
            return known >= 0 ? known : self.position(number, state: next, isStart: false)
        }
    }

    private mutating func find(_ position: Int32, _ byte: UInt8) -> Int32 {
        guard case .nodes(let nodes) = contents[Int(position)] else { return Self.none }
        var targets: [Int32] = []
        for node in nodes {
            switch network.nodes[Int(node)] {
            case .byte(byte, let next): targets.append(next)
            case .set(let set, let next) where network.sets[Int(set)].contains(byte): targets.append(next)
            default: break
            }
        }
        return targets.isEmpty
            ? Self.none : merged(network.reached(from: targets), owner: facts[Int(position)].owner)
    }

    /// The calls that a position can make.
    mutating func calls(_ position: Int32) -> [Call] {
        if let calls = calls[Int(position)] { return calls }
        var targets: [(routine: Int32, nodes: [Int32])] = []
        if case .nodes(let nodes) = contents[Int(position)] {
            var places: [Int32: Int] = [:]
            for node in nodes {
                guard case .call(let routine, let next) = network.nodes[Int(node)] else { continue }
                if let place = places[routine] {
                    targets[place].nodes.append(next)
                } else {
                    places[routine] = targets.count
                    targets.append((routine, [next]))
                }
            }
        }
        let owner = facts[Int(position)].owner
        var calls: [Call] = []
        for (routine, nodes) in targets {
            let next = merged(network.reached(from: nodes), owner: owner)
            if next == Self.none { continue }
            if next < Self.unknown {
                calls += several[Int(Self.unknown - 1 - next)].map { Call(routine: routine, next: $0, isLast: false) }
            } else {
                // What ends a routine may follow itself any number of times, so calling oneself there is a loop.
                let isLast = isFinal(next) && (isEmpty(next) || (routine == owner && next == end(of: owner)))
                calls.append(Call(routine: routine, next: next, isLast: isLast))
            }
        }
        self.calls[Int(position)] = calls
        return calls
    }

    private func isEmpty(_ position: Int32) -> Bool {
        switch contents[Int(position)] {
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
                    start = position(number(of: automaton, visit.routine), state: 0, isStart: true)
                } else {
                    start = position(visit.opening, owner: visit.routine)
                }
                set(start: start, of: visit.routine)
            } else {
                for member in component where !isExhausted { unwind(member, in: component, openings) }
            }
        }
    }

    private mutating func set(start: Int32, of routine: Int32) {
        starts[routine] = start
        var rank = 0
        guard start != Self.none else { return }
        if case .nodes(let nodes) = contents[Int(start)] {
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

    /// One position for a set of nodes; several where there are very many already.
    private mutating func merged(_ nodes: [Int32], owner: Int32) -> Int32 {
        guard facts.count >= Self.mergedLimit, nodes.count > 1 else { return position(nodes, owner: owner) }
        if let number = numbers[Key(content: .nodes(nodes), owner: owner)] { return number }
        let single = nodes.map { position([$0], owner: owner) }.filter { $0 != Self.none }
        if single.isEmpty { return Self.none }
        contentSize += nodes.count
        if let number = severalNumbers[single] { return Self.unknown - 1 - number }
        let number = Int32(several.count)
        several.append(single)
        severalNumbers[single] = number
        return Self.unknown - 1 - number
    }

    private mutating func position(_ nodes: [Int32], owner: Int32) -> Int32 {
        let key = Key(content: .nodes(nodes), owner: owner)
        if let number = numbers[key] { return number }
        contentSize += nodes.count
        if isExhausted { return Self.none }
        var isFinal = false
        var reading = Facts.Reading.nothing
        for node in nodes {
            switch network.nodes[Int(node)] {
            case .accept: isFinal = true
            case .byte, .set:
                switch reading {
                case .nothing: reading = .node(node)
                case .node:
                    reading = .row(Int32(rows.count >> 8))
                    rows.append(contentsOf: repeatElement(Self.unknown, count: 256))
                case .row, .automaton: break
                }
            case .call, .split: break
            }
        }
        let like = nodes.map { network.likeness[Int($0)] }
        let likeness = like == nodes ? key : Key(content: .nodes(like), owner: owner)
        return add(key, isFinal: isFinal, reading, likeness: likeness)
    }

    private mutating func number(of automaton: ByteAutomaton, _ routine: Int32) -> Int32 {
        if let number = automatonNumbers[routine] { return number }
        let number = Int32(automata.count)
        let positions = [Int32](repeating: Self.none, count: automaton.stateCount)
        automata.append(Automaton(automaton: automaton, routine: routine, positions: positions))
        automatonNumbers[routine] = number
        return number
    }

    private mutating func position(_ number: Int32, state: Int32, isStart: Bool) -> Int32 {
        let automaton = automata[Int(number)].automaton
        let routine = automata[Int(number)].routine
        let key = Key(content: .automaton(number, state: state, isStart: isStart), owner: routine)
        if let position = numbers[key] { return position }
        let reads = (UInt8.min...UInt8.max).contains { automaton.next(state, $0) != ByteAutomaton.dead }
        let position = add(
            key, isFinal: !isStart && automaton.accepts(state), reads ? .automaton(number, state: state) : .nothing,
            likeness: key)
        if !isStart { automata[Int(number)].positions[Int(state)] = position }
        return position
    }

    private mutating func add(_ key: Key, isFinal: Bool, _ reading: Facts.Reading, likeness: Key) -> Int32 {
        let number = Int32(facts.count)
        let other = alike[likeness] ?? number
        if other == number { alike[likeness] = number }
        facts.append(Facts(reading: reading, isFinal: isFinal, alike: other, owner: key.owner))
        contents.append(key.content)
        calls.append(nil)
        numbers[key] = number
        return number
    }
}
