/// A nondeterministic automaton over Unicode scalars (Thompson's construction), with conditions on the places between them.
struct ScalarNetwork {
    private static let maximumStates = 100_000

    private struct State {
        /// A scalar of the set leads to the target.
        var symbol: (set: Int, target: Int)?
        /// Leads further without a scalar, where the condition holds.
        var free: [(condition: RegularExpression.Assertion?, target: Int)] = []
    }

    /// What stands beside a place in the text.
    private enum Neighbour: UInt8, Hashable {
        case none, word, other
    }

    private var states: [State] = []
    private var sets: [ScalarSet] = []
    private var setIndices: [ScalarSet: Int] = [:]
    private var conditional = false
    private var final = 0

    init(_ expression: RegularExpression) throws(GrammarError) {
        let start = try addState()
        final = try add(expression, from: start)
    }

    private mutating func addState() throws(GrammarError) -> Int {
        guard states.count < Self.maximumStates else {
            throw GrammarError("the pattern is too large; lower its repetition counts")
        }
        states.append(State())
        return states.count - 1
    }

    private mutating func index(of set: ScalarSet) -> Int {
        if let index = setIndices[set] { return index }
        setIndices[set] = sets.count
        sets.append(set)
        return sets.count - 1
    }

    private mutating func link(_ from: Int, to target: Int, if condition: RegularExpression.Assertion? = nil) {
        states[from].free.append((condition, target))
    }

    /// Adds an expression behind a state; the state at its end. The given state gets edges that lead out only.
    private mutating func add(_ expression: RegularExpression, from start: Int) throws(GrammarError) -> Int {
        switch expression {
        case .set(let set):
            let (from, end) = (try addState(), try addState())
            link(start, to: from)
            states[from].symbol = (index(of: set), end)
            return end
        case .sequence(let parts):
            var end = start
            for part in parts { end = try add(part, from: end) }
            return end
        case .alternation(let parts):
            let end = try addState()
            for part in parts {
                let branch = try addState()
                link(start, to: branch)
                link(try add(part, from: branch), to: end)
            }
            return end
        case .repetition(let part, let minimum, let maximum):
            var end = start
            for _ in 0..<minimum { end = try add(part, from: end) }
            guard let maximum else {
                let loop = try addState()
                link(end, to: loop)
                link(try add(part, from: loop), to: loop)
                let exit = try addState()
                link(loop, to: exit)
                return exit
            }
            let exit = try addState()
            for _ in 0..<max(0, maximum - minimum) {
                link(end, to: exit)
                let once = try addState()
                link(end, to: once)
                end = try add(part, from: once)
            }
            link(end, to: exit)
            return exit
        case .assertion(let condition):
            let end = try addState()
            link(start, to: end, if: condition)
            conditional = true
            return end
        case .language(let language):
            let first = states.count
            for _ in 0..<language.stateCount { _ = try addState() }
            let end = try addState()
            if !language.isEmpty { link(start, to: first) }
            let classes = language.alphabet.sets
            for state in 0..<language.stateCount {
                if language.accepting[state] { link(first + state, to: end) }
                for symbol in classes.indices where language.next(Int32(state), symbol) >= 0 {
                    let edge = try addState()
                    link(first + state, to: edge)
                    let target = first + Int(language.next(Int32(state), symbol))
                    states[edge].symbol = (index(of: classes[symbol]), target)
                }
            }
            return end
        case .lookahead:
            throw GrammarError("lookahead is supported outside of repetitions only")
        }
    }

    /// The language of whole texts.
    func language(_ effort: Effort) throws(GrammarError) -> RegularLanguage {
        // The last set tells word characters apart, for conditions on words.
        let (alphabet, members) = ScalarAlphabet.separating(sets + (conditional ? [.wordCharacters] : []))
        let wordClasses = Set(conditional ? members[members.count - 1] : [])
        struct Key: Hashable {
            var kernel: [Int]
            var before: Neighbour
        }
        var numbers: [Key: Int32] = [:]
        var keys: [Key] = []
        func number(_ key: Key) throws(GrammarError) -> Int32 {
            if let number = numbers[key] { return number }
            try effort.check(states: keys.count)
            numbers[key] = Int32(keys.count)
            keys.append(key)
            return Int32(keys.count - 1)
        }
        _ = try number(Key(kernel: [0], before: .none))
        var rows: [Int32] = []
        var accepting: [Bool] = []
        var position = 0
        while position < keys.count {
            let key = keys[position]
            position += 1
            var targets = [[Int]](repeating: [], count: alphabet.count)
            for after in conditional ? [Neighbour.word, .other] : [.other] {
                let reached = try closure(key.kernel, before: key.before, after: after, effort)
                for state in reached {
                    guard let symbol = states[state].symbol else { continue }
                    try effort.spend(members[symbol.set].count * 2)
                    for member in members[symbol.set]
                    where !conditional || wordClasses.contains(member) == (after == .word) {
                        targets[member].append(symbol.target)
                    }
                }
            }
            accepting.append(
                try closure(key.kernel, before: key.before, after: .none, effort).contains(final))
            try effort.spend(targets.count)
            for (symbol, target) in targets.enumerated() {
                guard !target.isEmpty else {
                    rows.append(RegularLanguage.dead)
                    continue
                }
                let before: Neighbour = !conditional ? .none : wordClasses.contains(symbol) ? .word : .other
                let kernel = Array(Set(target)).sorted()
                try effort.spend(kernel.count * 8)
                rows.append(try number(Key(kernel: kernel, before: before)))
            }
        }
        return try RegularLanguage(alphabet: alphabet, next: rows, accepting: accepting, effort: effort)
    }

    private func closure(
        _ kernel: [Int], before: Neighbour, after: Neighbour, _ effort: Effort
    ) throws(GrammarError) -> Set<Int> {
        var reached = Set(kernel)
        var queue = kernel
        while let state = queue.popLast() {
            try effort.spend(8)
            for edge in states[state].free {
                let holds =
                    switch edge.condition {
                    case nil: true
                    case .start: before == .none
                    case .end: after == .none
                    case .wordBoundary: (before == .word) != (after == .word)
                    case .noWordBoundary: (before == .word) == (after == .word)
                    }
                if holds, reached.insert(edge.target).inserted { queue.append(edge.target) }
            }
        }
        return reached
    }
}
