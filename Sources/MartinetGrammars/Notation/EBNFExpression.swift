/// What stands on the right of a rule, in either notation.
indirect enum EBNFExpression: Sendable {
    /// These bytes, perhaps none.
    case text([UInt8])
    /// One scalar of a set.
    case scalars(ScalarRanges)
    /// What another notation has lowered.
    case node(GrammarNode)
    /// A rule by name.
    case rule(String, at: EBNFPlace)
    /// One after the other.
    case sequence([EBNFExpression])
    /// One of several.
    case choice([EBNFExpression])
    /// So many times in a row.
    case repetition(EBNFExpression, minimum: Int, maximum: Int?)
}

/// A place in a source, both from 1.
struct EBNFPlace: Sendable, Hashable, CustomStringConvertible {
    let line: Int
    let column: Int

    var description: String { "line \(line), column \(column)" }
}

/// A rule as it was read.
struct EBNFRule: Sendable {
    let name: String
    let place: EBNFPlace
    let expression: EBNFExpression
}
