/// A plain grammar for checks, and Earley's recogniser for it: slow, and nothing like what it checks.
struct ReferenceGrammar {
    enum Symbol: Hashable {
        case byte(UInt8)
        case rule(Int)
    }

    /// The right sides of each rule; rule 0 is the start.
    var rules: [[[Symbol]]]

    /// Leaves out what can match no text; `nil` where nothing is left.
    func productive() -> ReferenceGrammar? {
        var matches = Set<Int>()
        var grown = true
        func works(_ symbol: Symbol) -> Bool {
            if case .rule(let rule) = symbol { matches.contains(rule) } else { true }
        }
        while grown {
            grown = false
            for (rule, sides) in rules.enumerated() where !matches.contains(rule) {
                if sides.contains(where: { $0.allSatisfy(works) }) {
                    matches.insert(rule)
                    grown = true
                }
            }
        }
        guard matches.contains(0) else { return nil }
        return ReferenceGrammar(rules: rules.map { sides in sides.filter { $0.allSatisfy(works) } })
    }

    /// The same for the compiler: in GBNF, where every rule is used by its name.
    var source: String {
        var source = ""
        for (rule, sides) in rules.enumerated() where !sides.isEmpty {
            let options = sides.map { symbols in
                symbols.map { symbol in
                    switch symbol {
                    case .byte(let byte): "\"\(Character(Unicode.Scalar(byte)))\""
                    case .rule(let rule): Self.name(rule)
                    }
                }.joined(separator: " ") + (symbols.isEmpty ? "\"\"" : "")
            }
            source += "\(Self.name(rule)) ::= \(options.joined(separator: " | "))\n"
        }
        return source
    }

    private static func name(_ rule: Int) -> String { rule == 0 ? "root" : "rule-\(rule)" }

    /// Whether a text is a beginning of one of the language, and whether it is one.
    func recognize(_ text: [UInt8]) -> (isPrefix: Bool, isComplete: Bool) {
        struct Item: Hashable {
            let rule: Int
            let side: Int
            let dot: Int
            let origin: Int
        }
        var chart: [Set<Item>] = [[]]
        for side in rules[0].indices { chart[0].insert(Item(rule: 0, side: side, dot: 0, origin: 0)) }
        for place in 0...text.count {
            var grown = true
            while grown {
                let before = chart[place].count
                for item in chart[place] {
                    let symbols = rules[item.rule][item.side]
                    if item.dot == symbols.count {
                        for other in chart[item.origin] {
                            let waiting = rules[other.rule][other.side]
                            if other.dot < waiting.count, waiting[other.dot] == .rule(item.rule) {
                                chart[place].insert(
                                    Item(rule: other.rule, side: other.side, dot: other.dot + 1, origin: other.origin))
                            }
                        }
                    } else if case .rule(let called) = symbols[item.dot] {
                        for side in rules[called].indices {
                            chart[place].insert(Item(rule: called, side: side, dot: 0, origin: place))
                        }
                    }
                }
                grown = chart[place].count > before
            }
            if chart[place].isEmpty { return (false, false) }
            guard place < text.count else { break }
            chart.append([])
            for item in chart[place] {
                let symbols = rules[item.rule][item.side]
                if item.dot < symbols.count, symbols[item.dot] == .byte(text[place]) {
                    chart[place + 1].insert(
                        Item(rule: item.rule, side: item.side, dot: item.dot + 1, origin: item.origin))
                }
            }
        }
        let isComplete = chart[text.count].contains {
            $0.rule == 0 && $0.origin == 0 && $0.dot == rules[0][$0.side].count
        }
        return (true, isComplete)
    }
}

/// A generator of numbers that gives the same ones on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

extension ReferenceGrammar {
    /// A small grammar by chance: nullable, left recursive and ambiguous ones come often.
    static func random(_ generator: inout SeededGenerator) -> ReferenceGrammar? {
        let count = Int.random(in: 1...4, using: &generator)
        let rules = (0..<count).map { _ in
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                (0..<Int.random(in: 0...3, using: &generator)).map { _ -> Symbol in
                    Bool.random(using: &generator)
                        ? .rule(Int.random(in: 0..<count, using: &generator))
                        : .byte(UInt8(ascii: "a") + UInt8.random(in: 0...2, using: &generator))
                }
            }
        }
        return ReferenceGrammar(rules: rules).productive()
    }
}
