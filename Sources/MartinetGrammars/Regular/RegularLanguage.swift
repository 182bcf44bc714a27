/// A regular set of texts over Unicode scalars, as its smallest deterministic automaton in a canonical numbering: two
/// languages are equal exactly when their values are.
package struct RegularLanguage: Sendable, Hashable {
    static let dead: Int32 = -1
    let alphabet: ScalarAlphabet
    /// A row of the alphabet's classes for each state; state 0 is the start.
    let next: [Int32]
    let accepting: [Bool]

    /// From any deterministic automaton whose states can all be reached; it is minimised.
    init(
        alphabet: ScalarAlphabet, next: [Int32], accepting: [Bool], effort: Effort
    ) throws(GrammarError) {
        let table = try AutomatonTable(width: alphabet.count, next: next, accepting: accepting).minimised(effort)
        // Columns that are equal become one class.
        var labels: [[Int32]: Int] = [:]
        var labelOfClass: [Int] = []
        var columns: [[Int32]] = []
        for symbol in 0..<alphabet.count {
            let column = table.accepting.indices.map { table.next[$0 * alphabet.count + symbol] }
            if let label = labels[column] {
                labelOfClass.append(label)
            } else {
                labels[column] = columns.count
                labelOfClass.append(columns.count)
                columns.append(column)
            }
        }
        let merged = ScalarAlphabet(
            stretches: zip(alphabet.starts, alphabet.classes).map { ($0, labelOfClass[Int($1)]) })
        // The alphabet numbers classes as they come; so do the rows.
        var order: [Int] = []
        for symbol in alphabet.classes where !order.contains(labelOfClass[Int(symbol)]) {
            order.append(labelOfClass[Int(symbol)])
        }
        // Rows depend on the order of classes, and states are numbered by first visit in it.
        var numbers = [Int32](repeating: Self.dead, count: table.accepting.count)
        var visited: [Int] = []
        if !table.accepting.isEmpty {
            numbers[0] = 0
            visited.append(0)
        }
        var position = 0
        while position < visited.count {
            for label in order {
                let target = columns[label][visited[position]]
                if target >= 0, numbers[Int(target)] < 0 {
                    numbers[Int(target)] = Int32(visited.count)
                    visited.append(Int(target))
                }
            }
            position += 1
        }
        var rows: [Int32] = []
        rows.reserveCapacity(visited.count * order.count)
        for state in visited {
            for label in order {
                let target = columns[label][state]
                rows.append(target < 0 ? Self.dead : numbers[Int(target)])
            }
        }
        self.alphabet = merged
        self.next = rows
        self.accepting = visited.map { table.accepting[$0] }
    }

    private init(alphabet: ScalarAlphabet, next: [Int32], accepting: [Bool]) {
        self.alphabet = alphabet
        self.next = next
        self.accepting = accepting
    }

    /// No text.
    package static let none = RegularLanguage(
        alphabet: ScalarAlphabet(stretches: [(0, 0)]), next: [], accepting: [])
    /// Every text.
    package static let all = RegularLanguage(
        alphabet: ScalarAlphabet(stretches: [(0, 0), (0xD800, 1), (0xE000, 0)]), next: [0, dead], accepting: [true])

    /// States; none for the language without texts.
    package var stateCount: Int { accepting.count }
    /// Whether no text is in it.
    package var isEmpty: Bool { accepting.isEmpty }

    func next(_ state: Int32, _ symbol: Int) -> Int32 { next[Int(state) * alphabet.count + symbol] }

    /// Whether a text is in it.
    package func contains(_ text: String) -> Bool {
        guard !isEmpty else { return false }
        var state: Int32 = 0
        for scalar in text.unicodeScalars {
            state = next(state, alphabet.classOf(scalar.value))
            if state < 0 { return false }
        }
        return accepting[Int(state)]
    }

    /// All its texts when they are at most so many; `nil` otherwise.
    package func words(atMost limit: Int) -> [String]? {
        guard !isEmpty else { return [] }
        let sets = alphabet.sets
        var words: [String] = []
        // A path longer than there are states has a loop, and every state leads to an end.
        var stack: [(state: Int32, text: String.UnicodeScalarView, length: Int)] = [(0, .init(), 0)]
        while let (state, text, length) = stack.popLast() {
            guard length <= stateCount, words.count + stack.count <= limit else { return nil }
            if accepting[Int(state)] { words.append(String(text)) }
            for symbol in 0..<alphabet.count where next(state, symbol) >= 0 {
                guard sets[symbol].count <= limit else { return nil }
                for range in sets[symbol].ranges {
                    for value in range {
                        guard let scalar = Unicode.Scalar(value) else { continue }
                        var longer = text
                        longer.append(scalar)
                        stack.append((next(state, symbol), longer, length + 1))
                    }
                }
            }
        }
        return words.count <= limit ? words.sorted() : nil
    }
}
