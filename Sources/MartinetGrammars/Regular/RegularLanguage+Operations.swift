extension RegularLanguage {
    /// Which of two languages a text must be in.
    private enum Combination {
        case both, either, firstOnly
    }

    /// Texts in both.
    package func intersection(_ other: RegularLanguage, _ effort: Effort) throws(GrammarError) -> RegularLanguage {
        if self == .all { return other }
        if other == .all || self == other { return self }
        return try combined(with: other, .both, effort)
    }

    /// Texts in either.
    package func union(_ other: RegularLanguage, _ effort: Effort) throws(GrammarError) -> RegularLanguage {
        if isEmpty { return other }
        if other.isEmpty || self == other { return self }
        return try combined(with: other, .either, effort)
    }

    /// Texts that are not in the other.
    package func subtracting(_ other: RegularLanguage, _ effort: Effort) throws(GrammarError) -> RegularLanguage {
        if other.isEmpty || isEmpty { return self }
        return try combined(with: other, .firstOnly, effort)
    }

    /// Texts that are not in it.
    package func complement(_ effort: Effort) throws(GrammarError) -> RegularLanguage {
        try RegularLanguage.all.subtracting(self, effort)
    }

    private func combined(
        with other: RegularLanguage, _ combination: Combination, _ effort: Effort
    ) throws(GrammarError) -> RegularLanguage {
        guard !isEmpty, !other.isEmpty else { return combination == .both ? .none : self }
        let (alphabet, pairs) = alphabet.refined(with: other.alphabet)
        struct Pair: Hashable {
            var first: Int32
            var second: Int32
        }
        var numbers = [Pair(first: 0, second: 0): Int32(0)]
        var states = [Pair(first: 0, second: 0)]
        var rows: [Int32] = []
        var accepting: [Bool] = []
        var position = 0
        while position < states.count {
            let state = states[position]
            position += 1
            try effort.spend(pairs.count * 4)
            let first = state.first >= 0 && self.accepting[Int(state.first)]
            let second = state.second >= 0 && other.accepting[Int(state.second)]
            switch combination {
            case .both: accepting.append(first && second)
            case .either: accepting.append(first || second)
            case .firstOnly: accepting.append(first && !second)
            }
            for pair in pairs {
                let target = Pair(
                    first: state.first < 0 ? Self.dead : next(state.first, pair.0),
                    second: state.second < 0 ? Self.dead : other.next(state.second, pair.1))
                let isDead =
                    switch combination {
                    case .both: target.first < 0 || target.second < 0
                    case .either: target.first < 0 && target.second < 0
                    case .firstOnly: target.first < 0
                    }
                if isDead {
                    rows.append(Self.dead)
                } else if let number = numbers[target] {
                    rows.append(number)
                } else {
                    try effort.check(states: states.count)
                    numbers[target] = Int32(states.count)
                    rows.append(Int32(states.count))
                    states.append(target)
                }
            }
        }
        return try RegularLanguage(alphabet: alphabet, next: rows, accepting: accepting, effort: effort)
    }

    /// Exactly these texts.
    package init(words: some Collection<String>, _ effort: Effort) throws(GrammarError) {
        let scalars = Set(words.lazy.flatMap(\.unicodeScalars)).sorted()
        let (alphabet, members) = ScalarAlphabet.separating(scalars.map { ScalarSet($0) })
        let symbols = Dictionary(uniqueKeysWithValues: zip(scalars, members.map { $0[0] }))
        let width = alphabet.count
        var rows = [Int32](repeating: Self.dead, count: width)
        var accepting = [false]
        for word in words {
            var state = 0
            for scalar in word.unicodeScalars {
                guard let symbol = symbols[scalar] else { continue }
                if rows[state * width + symbol] < 0 {
                    try effort.check(states: accepting.count)
                    try effort.spend(width)
                    rows[state * width + symbol] = Int32(accepting.count)
                    accepting.append(false)
                    rows.append(contentsOf: repeatElement(Self.dead, count: width))
                }
                state = Int(rows[state * width + symbol])
            }
            accepting[state] = true
        }
        try self.init(alphabet: alphabet, next: rows, accepting: accepting, effort: effort)
    }

    /// Texts of so many scalars; no upper bound for `nil`.
    package init(minimumLength: Int, maximumLength: Int?, _ effort: Effort) throws(GrammarError) {
        let last = maximumLength ?? minimumLength
        guard last < Effort.maximumStates else {
            throw GrammarError(
                "a length bound above \(Effort.maximumStates) cannot be combined with other constraints on a string")
        }
        guard minimumLength <= last else {
            self = .none
            return
        }
        let (alphabet, members) = ScalarAlphabet.separating([.all])
        var rows = [Int32](repeating: Self.dead, count: alphabet.count * (last + 1))
        for state in 0...last {
            let target = state < last ? Int32(state + 1) : maximumLength == nil ? Int32(state) : Self.dead
            rows[state * alphabet.count + members[0][0]] = target
        }
        try self.init(
            alphabet: alphabet, next: rows, accepting: (0...last).map { $0 >= minimumLength }, effort: effort)
    }

    /// Texts that end with the first place where the marker stands in them.
    package init(endingWithFirst marker: String, _ effort: Effort) throws(GrammarError) {
        let word = Array(marker.unicodeScalars)
        let scalars = Set(word).sorted()
        let (alphabet, members) = ScalarAlphabet.separating([.all] + scalars.map { ScalarSet($0) })
        let symbols = Dictionary(uniqueKeysWithValues: zip(scalars, members.dropFirst().map { $0[0] }))
        let width = alphabet.count
        try effort.check(states: word.count)
        try effort.spend((word.count + 1) * width)
        // The automaton of Knuth, Morris and Pratt: a state for how much of the marker the text ends with, and `fallback`
        // for the state that the longest shorter such end leads to.
        var rows = [Int32](repeating: Self.dead, count: (word.count + 1) * width)
        var fallback = 0
        for (state, scalar) in word.enumerated() {
            for symbol in members[0] { rows[state * width + symbol] = state == 0 ? 0 : rows[fallback * width + symbol] }
            guard let symbol = symbols[scalar] else { continue }
            let shorter = state == 0 ? 0 : Int(rows[fallback * width + symbol])
            rows[state * width + symbol] = Int32(state + 1)
            fallback = shorter
        }
        try self.init(
            alphabet: alphabet, next: rows, accepting: (0...word.count).map { $0 == word.count }, effort: effort)
    }

    /// Texts over a few scalars that an automaton takes, given by how it goes on from each of its states.
    init<State: Hashable>(
        over scalars: [Unicode.Scalar], from start: State, _ effort: Effort,
        step: (State, Unicode.Scalar) -> State?, accepts: (State) -> Bool
    ) throws(GrammarError) {
        let (alphabet, members) = ScalarAlphabet.separating(scalars.map { ScalarSet($0) })
        var numbers = [start: Int32(0)]
        var states = [start]
        var rows: [Int32] = []
        var position = 0
        while position < states.count {
            var row = [Int32](repeating: Self.dead, count: alphabet.count)
            try effort.spend(alphabet.count * 2)
            for (scalar, symbols) in zip(scalars, members) {
                guard let target = step(states[position], scalar) else { continue }
                if numbers[target] == nil {
                    try effort.check(states: states.count)
                    numbers[target] = Int32(states.count)
                    states.append(target)
                }
                row[symbols[0]] = numbers[target] ?? Self.dead
            }
            rows.append(contentsOf: row)
            position += 1
        }
        try self.init(alphabet: alphabet, next: rows, accepting: states.map(accepts), effort: effort)
    }
}
