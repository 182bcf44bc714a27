/// Lowers a grammar in EBNF.
enum EBNFLowering {
    /// The most rules of a grammar.
    private static let ruleLimit = 10_000

    /// The grammar that a source says, in GBNF or in the Lark-like form.
    ///
    /// - Parameter rules: where its rules go.
    /// - Throws: what is wrong, with line and column.
    static func node(_ source: String, rules: GrammarRules) throws(GrammarError) -> GrammarNode {
        var parser = GBNFParser(source)
        return try node(parser.rules(), start: "root", rules: rules)
    }

    private static func node(
        _ read: [EBNFRule], start: String, rules: GrammarRules
    ) throws(GrammarError) -> GrammarNode {
        guard read.count <= ruleLimit else { throw GrammarError("a grammar may have \(ruleLimit) rules; use fewer") }
        var numbers: [String: Int] = [:]
        for (number, rule) in read.enumerated() {
            if let other = numbers.updateValue(number, forKey: rule.name) {
                throw GrammarError(
                    "the rule `\(rule.name)` is defined twice, first at \(read[other].place)",
                    at: rule.place.description)
            }
        }
        guard numbers[start] != nil else {
            throw GrammarError("the grammar has no rule `\(start)`, which is where it starts; define it")
        }
        for rule in read { try check(rule.expression, numbers) }
        try checkProductive(read, numbers)
        let ids = read.map { _ in rules.declare() }
        func lower(_ expression: EBNFExpression) -> GrammarNode {
            switch expression {
            case .text(let bytes): bytes.isEmpty ? .empty : .bytes(bytes)
            case .scalars(let scalars): scalars.node ?? .choice([])
            case .node(let node): node
            case .rule(let name, _): .rule(ids[numbers[name] ?? 0])
            case .sequence(let parts): parts.isEmpty ? .empty : .sequence(parts.map(lower))
            case .choice(let options): .choice(options.map(lower))
            case .repetition(let body, let minimum, let maximum):
                .repetition(lower(body), minimum: minimum, maximum: maximum)
            }
        }
        for (id, rule) in zip(ids, read) { rules.define(id, as: lower(rule.expression)) }
        return .rule(ids[numbers[start] ?? 0])
    }

    private static func check(_ expression: EBNFExpression, _ numbers: [String: Int]) throws(GrammarError) {
        switch expression {
        case .text, .scalars, .node: break
        case .rule(let name, let place):
            guard numbers[name] != nil else {
                throw GrammarError("the rule `\(name)` is not defined", at: place.description)
            }
        case .sequence(let parts), .choice(let parts):
            for part in parts { try check(part, numbers) }
        case .repetition(let body, _, _): try check(body, numbers)
        }
    }

    /// Refuses rules that match no text, since they only call themselves.
    private static func checkProductive(_ read: [EBNFRule], _ numbers: [String: Int]) throws(GrammarError) {
        var productive = [Bool](repeating: false, count: read.count)
        func matches(_ expression: EBNFExpression) -> Bool {
            switch expression {
            case .text, .scalars, .node: true
            case .rule(let name, _): productive[numbers[name] ?? 0]
            case .sequence(let parts): parts.allSatisfy(matches)
            case .choice(let options): options.contains(where: matches)
            case .repetition(let body, let minimum, _): minimum == 0 || matches(body)
            }
        }
        var pending = Array(read.indices)
        while true {
            let left = pending.filter { rule in
                productive[rule] = matches(read[rule].expression)
                return !productive[rule]
            }
            if left.count == pending.count { break }
            pending = left
        }
        if let rule = pending.first {
            throw GrammarError(
                "the rule `\(read[rule].name)` matches no text: each way through it comes back to it",
                at: read[rule].place.description)
        }
    }
}
