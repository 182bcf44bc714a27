internal import Synchronization

/// The nodes of terms, filled once all of them are known and read by rules from then on.
final class TermNodes: Sendable {
    private let nodes = Mutex<[SchemaTerm: GrammarNode]>([:])

    /// The node of a term that has one.
    subscript(term: SchemaTerm) -> GrammarNode? { nodes.withLock { $0[term] } }

    func set(_ node: GrammarNode, for term: SchemaTerm) { nodes.withLock { $0[term] = node } }
}

/// The marks of JSON with the white space that may stand beside them.
struct JSONMarks: Sendable {
    /// What may stand behind an opening and before any other mark.
    let space: GrammarNode
    /// What may stand behind a comma or a colon.
    let gap: GrammarNode

    /// Those of a form.
    ///
    /// - Parameter maximumSpace: how much white space may stand between two tokens in any form, in characters.
    init(_ form: JSONSchemaForm, maximumSpace: Int) {
        switch form {
        case .any:
            space = Self.space(maximumSpace)
            gap = space
        case .canonical:
            space = .empty
            gap = .choice([.empty, .bytes([UInt8(ascii: " ")])])
        case .compact:
            space = .empty
            gap = .empty
        }
    }

    private static func space(_ maximumSpace: Int) -> GrammarNode {
        guard maximumSpace > 0 else { return .empty }
        var next = [Int32](repeating: ByteAutomaton.dead, count: (maximumSpace + 1) * 256)
        for state in 0..<maximumSpace {
            for byte in " \n\t\r".utf8 { next[state << 8 | Int(byte)] = Int32(state + 1) }
        }
        return .automaton(ByteAutomaton(next: next, accepting: .init(repeating: true, count: maximumSpace + 1)))
    }

    /// Behind an item: the end, or a comma and what comes then.
    func ending(_ close: StaticString, more: GrammarNode?, canClose: Bool) -> GrammarNode {
        let end = GrammarNode.bytes(Array(close.description.utf8))
        var choices: [GrammarNode] = canClose ? [end] : []
        if let more { choices.append(.sequence([.bytes([UInt8(ascii: ",")]), gap, more])) }
        return .sequence([space, choices.count == 1 ? choices[0] : .choice(choices)])
    }
}
