extension RegularLanguage {
    /// Texts that a regular expression matches as a whole.
    package init(whole pattern: String, _ effort: Effort) throws(GrammarError) {
        let expression = try RegularExpressionParser.parse(pattern)
        let nothing = try RegularLanguage(words: [""], effort)
        self = try Self.texts(of: expression, before: nothing, atStart: true, effort)
    }

    /// Texts in which a regular expression finds something, as `pattern` in a JSON Schema means it.
    package init(searching pattern: String, _ effort: Effort) throws(GrammarError) {
        let expression = try RegularExpressionParser.parse(pattern)
        guard expression.hasLookahead else {
            self = try ScalarNetwork(.sequence([.anyText, expression, .anyText])).language(effort)
            return
        }
        let first = try Self.texts(of: expression, before: .all, atStart: true, effort)
        let later = try Self.texts(of: expression, before: .all, atStart: false, effort)
        let behind = try ScalarNetwork(.sequence([.set(.all), .anyText, .language(later)])).language(effort)
        self = try first.union(behind, effort)
    }

    /// Texts that an expression matches up to a place from which the rest of the text is in a language. Lookahead is an
    /// intersection with that rest, or a difference.
    private static func texts(
        of expression: RegularExpression, before rest: RegularLanguage, atStart: Bool, _ effort: Effort
    ) throws(GrammarError) -> RegularLanguage {
        try effort.spend(2_000)
        guard expression.hasLookahead else {
            let part = atStart ? expression : expression.withoutStart
            return try ScalarNetwork(.sequence([part, .language(rest)])).language(effort)
        }
        if expression.hasWordBoundary { throw GrammarError("`\\b` and lookahead in one regular expression") }
        switch expression {
        case .lookahead(let part, let negated):
            let ahead = try texts(of: part, before: .all, atStart: atStart, effort)
            return negated ? try rest.subtracting(ahead, effort) : try rest.intersection(ahead, effort)
        case .alternation(let parts):
            var union = RegularLanguage.none
            for part in parts {
                union = try union.union(try texts(of: part, before: rest, atStart: atStart, effort), effort)
            }
            return union
        case .sequence(let parts):
            var rest = rest
            for (index, part) in parts.enumerated().reversed() {
                let isFirst = parts[..<index].allSatisfy(\.takesNothing)
                if atStart, !isFirst, part.withoutStartDiffers {
                    throw GrammarError("a regular expression with lookahead may have `^` at its start only")
                }
                rest = try texts(of: part, before: rest, atStart: atStart && isFirst, effort)
            }
            return rest
        case .repetition(let part, let minimum, let maximum?):
            guard !part.withoutStartDiffers else { throw GrammarError("`^` and lookahead inside a repetition") }
            var result = rest
            for index in (0..<maximum).reversed() {
                result = try texts(of: part, before: result, atStart: false, effort)
                if index >= minimum { result = try result.union(rest, effort) }
            }
            return result
        default:
            throw GrammarError("lookahead inside an unbounded repetition of a regular expression")
        }
    }
}

extension RegularExpression {
    /// Whether it is a condition, which takes no scalar.
    fileprivate var takesNothing: Bool {
        switch self {
        case .assertion, .lookahead: true
        default: false
        }
    }

    fileprivate var withoutStartDiffers: Bool {
        switch self {
        case .assertion(.start): true
        case .set, .assertion, .language: false
        case .sequence(let parts), .alternation(let parts): parts.contains(where: \.withoutStartDiffers)
        case .repetition(let part, _, _), .lookahead(let part, _): part.withoutStartDiffers
        }
    }

    /// The same at a place that is not the text's start.
    fileprivate var withoutStart: RegularExpression {
        switch self {
        case .assertion(.start): .set(ScalarSet([]))
        case .set, .assertion, .language: self
        case .sequence(let parts): .sequence(parts.map(\.withoutStart))
        case .alternation(let parts): .alternation(parts.map(\.withoutStart))
        case .repetition(let part, let minimum, let maximum):
            .repetition(part.withoutStart, minimum: minimum, maximum: maximum)
        case .lookahead(let part, let negated): .lookahead(part.withoutStart, negated: negated)
        }
    }
}
