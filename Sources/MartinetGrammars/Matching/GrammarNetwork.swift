/// The rules of a grammar as a recursive transition network: a nondeterministic automaton for each rule, whose edges read
/// bytes or call other rules. It is built rule by rule, when matching first comes to one.
struct GrammarNetwork {
    /// One node; edges name the node that they lead to.
    enum Node {
        /// Several nodes at once, without reading.
        case split([Int32])
        /// Reads one byte.
        case byte(UInt8, Int32)
        /// Reads one byte of a set, given by its place in ``sets``.
        case set(Int32, Int32)
        /// Reads what a routine matches.
        case call(Int32, Int32)
        /// The end of the routine.
        case accept
    }

    /// What can be called: a rule or an automaton.
    struct Routine {
        enum Body {
            case rule(GrammarRules.ID)
            case automaton(ByteAutomaton)
        }

        let body: Body
        /// The node that it starts at; -1 before it is built, and for an automaton.
        var first: Int32 = -1
        /// Its accepting node.
        var accept: Int32 = -1
        /// Whether it matches the empty text; `nil` before that is known.
        var isNullable: Bool?
    }

    /// The most nodes of a grammar.
    static let nodeLimit = 1 << 18
    /// The most nested nodes of one rule.
    static let depthLimit = 512

    private let rules: GrammarRules
    private(set) var nodes: [Node] = []
    private(set) var sets: [ByteSet] = []
    private(set) var routines: [Routine] = []
    /// Stands for a node where no more than ``horizon`` bytes are looked at: the nodes of a long repetition that are
    /// farther than that from both its bounds behave alike.
    private(set) var likeness: [Int32] = []
    /// Whether the grammar has come to its bound; what lies beyond matches nothing.
    private(set) var isExhausted = false

    private let horizon: Int
    private var routineOfRule: [GrammarRules.ID: Int32] = [:]
    private var routineOfAutomaton: [ObjectIdentifier: Int32] = [:]
    private var setNumbers: [ByteSet: Int32] = [:]
    private var likenessNumbers: [Likeness: Int32] = [:]
    private var repetitionCount: Int32 = 0

    private struct Likeness: Hashable {
        let repetition: Int32
        let required: Int
        let allowed: Int
    }

    init(rules: GrammarRules, horizon: Int) {
        self.rules = rules
        self.horizon = horizon
    }

    // MARK: - Building

    mutating func add(_ body: Routine.Body) -> Int32 {
        routines.append(Routine(body: body))
        return Int32(routines.count - 1)
    }

    /// Builds a routine's nodes, unless they are there.
    mutating func build(_ routine: Int32) {
        guard routines[Int(routine)].first < 0 else { return }
        let node: GrammarNode
        switch routines[Int(routine)].body {
        case .automaton: return
        case .rule(let rule): node = rules.node(rule)
        }
        let accept = append(.accept)
        routines[Int(routine)].accept = accept
        routines[Int(routine)].first = build(node, to: accept, depth: 0)
    }

    mutating func append(_ node: Node) -> Int32 {
        if nodes.count >= Self.nodeLimit { isExhausted = true }
        nodes.append(node)
        likeness.append(Int32(nodes.count - 1))
        return Int32(nodes.count - 1)
    }

    /// Copies a node and all that it leads to, but for what `copies` holds already.
    mutating func copy(_ node: Int32, _ copies: inout [Int32: Int32]) -> Int32 {
        if let copy = copies[node] { return copy }
        var pending: [Int32] = []
        func place(_ node: Int32, _ network: inout GrammarNetwork) -> Int32 {
            if let copy = copies[node] { return copy }
            let copy = network.append(.split([]))
            copies[node] = copy
            pending.append(node)
            return copy
        }
        let result = place(node, &self)
        while let original = pending.popLast(), let copy = copies[original], !isExhausted {
            switch nodes[Int(original)] {
            case .split(let targets): nodes[Int(copy)] = .split(targets.map { place($0, &self) })
            case .byte(let byte, let next): nodes[Int(copy)] = .byte(byte, place(next, &self))
            case .set(let set, let next): nodes[Int(copy)] = .set(set, place(next, &self))
            case .call(let routine, let next): nodes[Int(copy)] = .call(routine, place(next, &self))
            case .accept: nodes[Int(copy)] = .accept
            }
        }
        return result
    }

    mutating func link(_ node: Int32, to targets: [Int32]) { nodes[Int(node)] = .split(targets) }

    /// Builds nodes that match `node` and lead to `next`; returns the first.
    private mutating func build(_ node: GrammarNode, to next: Int32, depth: Int) -> Int32 {
        guard nodes.count < Self.nodeLimit, depth < Self.depthLimit else {
            isExhausted = true
            return append(.split([]))
        }
        switch node {
        case .empty: return next
        case .bytes(let bytes):
            var first = next
            for byte in bytes.reversed() { first = append(.byte(byte, first)) }
            return first
        case .anyByte(let set):
            return append(.set(number(of: set), next))
        case .automaton(let automaton):
            return append(.call(routine(of: automaton), next))
        case .rule(let rule):
            return append(.call(routine(of: rule), next))
        case .sequence(let parts):
            var first = next
            for part in parts.reversed() { first = build(part, to: first, depth: depth + 1) }
            return first
        case .choice(let options):
            if options.count == 1 { return build(options[0], to: next, depth: depth + 1) }
            var firsts: [Int32] = []
            firsts.reserveCapacity(options.count)
            for option in options { firsts.append(build(option, to: next, depth: depth + 1)) }
            return append(.split(firsts))
        case .repetition(let body, let minimum, let maximum):
            return build(repeating: body, minimum, maximum, to: next, depth: depth + 1)
        }
    }

    private mutating func build(
        repeating body: GrammarNode, _ minimum: Int, _ maximum: Int?, to next: Int32, depth: Int
    ) -> Int32 {
        var body = body
        let copies = max(minimum, maximum ?? 0)
        if copies > 1, !Self.isSmall(body) {
            // Copies of a call cost little.
            let repeated = body
            body = .rule(rules.add { repeated })
        }
        guard let maximum else {
            let loop = append(.split([]))
            let again = build(body, to: loop, depth: depth)
            link(loop, to: [again, next])
            var first = minimum == 0 ? loop : again
            for left in stride(from: 2, through: minimum, by: 1) {
                let last = nodes.count
                first = build(body, to: first, depth: depth)
                markAlike(from: last, required: left, allowed: .max)
            }
            repetitionCount += 1
            return first
        }
        var first = next
        for left in stride(from: 1, through: maximum, by: 1) {
            let required = minimum - (maximum - left)
            let last = nodes.count
            let once = build(body, to: first, depth: depth)
            markAlike(from: last, required: max(0, required), allowed: left)
            first = required > 0 ? once : append(.split([once, next]))
            if isExhausted { break }
        }
        repetitionCount += 1
        return first
    }

    /// Says of the one node that a repetition has just added which others are like it.
    private mutating func markAlike(from first: Int, required: Int, allowed: Int) {
        guard nodes.count == first + 1, required > horizon || allowed > horizon else { return }
        let key = Likeness(
            repetition: repetitionCount, required: min(required, horizon + 1), allowed: min(allowed, horizon + 1))
        if let number = likenessNumbers[key] {
            likeness[first] = number
        } else {
            likenessNumbers[key] = Int32(first)
        }
    }

    private static func isSmall(_ node: GrammarNode) -> Bool {
        switch node {
        case .empty, .anyByte, .automaton, .rule: true
        case .bytes(let bytes): bytes.count <= 1
        case .sequence, .choice, .repetition: false
        }
    }

    private mutating func number(of set: ByteSet) -> Int32 {
        if let number = setNumbers[set] { return number }
        sets.append(set)
        let number = Int32(sets.count - 1)
        setNumbers[set] = number
        return number
    }

    private mutating func routine(of rule: GrammarRules.ID) -> Int32 {
        if let routine = routineOfRule[rule] { return routine }
        let routine = add(.rule(rule))
        routineOfRule[rule] = routine
        return routine
    }

    private mutating func routine(of automaton: ByteAutomaton) -> Int32 {
        if let routine = routineOfAutomaton[ObjectIdentifier(automaton)] { return routine }
        let routine = add(.automaton(automaton))
        routineOfAutomaton[ObjectIdentifier(automaton)] = routine
        return routine
    }

    // MARK: - Reaching

    /// The nodes that read, call or accept, reached from some without reading, in order.
    mutating func reached(from first: [Int32]) -> [Int32] {
        var result: [Int32] = []
        reach(from: first, into: &result) { network, routine in network.isNullable(routine) }
        result.sort()
        return result
    }

    private mutating func reach(
        from first: [Int32], into result: inout [Int32], skipping skips: (inout GrammarNetwork, Int32) -> Bool
    ) {
        var seen = Set<Int32>()
        var pending = first
        while let node = pending.popLast() {
            guard seen.insert(node).inserted else { continue }
            switch nodes[Int(node)] {
            case .split(let targets): pending += targets
            case .call(let routine, let next):
                result.append(node)
                if skips(&self, routine) { pending.append(next) }
            case .byte, .set, .accept: result.append(node)
            }
        }
    }

    /// Whether a routine matches the empty text: the least solution over the routines that this hangs on.
    mutating func isNullable(_ routine: Int32) -> Bool {
        if let known = routines[Int(routine)].isNullable { return known }
        var found: Set<Int32> = [routine]
        var nullable: Set<Int32> = []
        var dependents: [Int32: [Int32]] = [:]
        var pending = [routine]
        while let candidate = pending.popLast() {
            if nullable.contains(candidate) { continue }
            var accepts = false
            if case .automaton(let automaton) = routines[Int(candidate)].body {
                accepts = automaton.accepts(0)
            } else {
                build(candidate)
                var nodes: [Int32] = []
                reach(from: [routines[Int(candidate)].first], into: &nodes) { network, called in
                    if let known = network.routines[Int(called)].isNullable { return known }
                    if nullable.contains(called) { return true }
                    dependents[called, default: []].append(candidate)
                    if found.insert(called).inserted { pending.append(called) }
                    return false
                }
                accepts = nodes.contains(routines[Int(candidate)].accept)
            }
            if accepts {
                nullable.insert(candidate)
                pending += dependents.removeValue(forKey: candidate) ?? []
            }
        }
        for routine in found { routines[Int(routine)].isNullable = nullable.contains(routine) }
        return nullable.contains(routine)
    }
}
