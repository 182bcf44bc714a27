/// A regular expression, parsed.
package indirect enum RegularExpression: Sendable {
    /// What holds at a place without taking a scalar.
    package enum Assertion: Sendable {
        case start, end, wordBoundary, noWordBoundary
    }

    case set(ScalarSet)
    case sequence([RegularExpression])
    case alternation([RegularExpression])
    case repetition(RegularExpression, minimum: Int, maximum: Int?)
    case assertion(Assertion)
    case lookahead(RegularExpression, negated: Bool)
    case language(RegularLanguage)

    static let empty = RegularExpression.sequence([])
    static let anyText = RegularExpression.repetition(.set(.all), minimum: 0, maximum: nil)

    var hasLookahead: Bool { contains { if case .lookahead = $0 { true } else { false } } }
    var hasWordBoundary: Bool {
        contains {
            switch $0 {
            case .assertion(.wordBoundary), .assertion(.noWordBoundary): true
            default: false
            }
        }
    }

    private func contains(_ predicate: (RegularExpression) -> Bool) -> Bool {
        if predicate(self) { return true }
        switch self {
        case .set, .assertion, .language: return false
        case .sequence(let parts), .alternation(let parts): return parts.contains { $0.contains(predicate) }
        case .repetition(let part, _, _), .lookahead(let part, _): return part.contains(predicate)
        }
    }
}
