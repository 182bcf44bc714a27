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
    /// White space that may be absent.
    let space: GrammarNode

    /// Up to so many characters of white space between two tokens.
    init(maximumSpace: Int) {
        guard maximumSpace > 0 else {
            space = .empty
            return
        }
        var next = [Int32](repeating: ByteAutomaton.dead, count: (maximumSpace + 1) * 256)
        for state in 0..<maximumSpace {
            for byte in " \n\t\r".utf8 { next[state << 8 | Int(byte)] = Int32(state + 1) }
        }
        space = .automaton(ByteAutomaton(next: next, accepting: .init(repeating: true, count: maximumSpace + 1)))
    }

    /// Behind an item: the end, or a comma and what comes then.
    func ending(_ close: StaticString, more: GrammarNode?, canClose: Bool) -> GrammarNode {
        let end = GrammarNode.bytes(Array(close.description.utf8))
        var choices: [GrammarNode] = canClose ? [end] : []
        if let more { choices.append(.sequence([.bytes([UInt8(ascii: ",")]), space, more])) }
        return .sequence([space, choices.count == 1 ? choices[0] : .choice(choices)])
    }
}
