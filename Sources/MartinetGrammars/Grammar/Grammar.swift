internal import Synchronization

/// A language of byte strings: what sources are lowered to, and what matching runs on.
///
/// It is context free: nodes refer to rules, which may refer to themselves. Every node must be productive, that is, match
/// some text: what lowers a source drops what cannot match, so that a prefix which matching allows can always be ended.
package indirect enum GrammarNode: Sendable {
    /// The empty text.
    case empty
    /// These bytes.
    case bytes([UInt8])
    /// One byte of a set that is not empty.
    case anyByte(ByteSet)
    /// A regular language.
    case automaton(ByteAutomaton)
    /// One after the other.
    case sequence([GrammarNode])
    /// One of several, at least one.
    case choice([GrammarNode])
    /// So many times in a row; no upper bound for `nil`.
    case repetition(GrammarNode, minimum: Int, maximum: Int?)
    /// What a rule says.
    case rule(GrammarRules.ID)
}

/// The rules of one grammar. They are made when matching first comes to them, so that a grammar may have far more rules
/// than a text ever uses: one for each set of members that an object has had, for example.
package final class GrammarRules: Sendable {
    /// Names a rule.
    package struct ID: Hashable, Sendable {
        package let index: Int
    }

    private enum Rule {
        case made(GrammarNode)
        case pending(@Sendable () -> GrammarNode)
    }

    private let rules = Mutex<[Rule]>([])

    /// No rules.
    package init() {}

    /// Adds a rule.
    ///
    /// - Parameter make: gives its node; runs when it is first asked for, possibly on several threads at once and then
    ///   with the same result; may add rules.
    package func add(_ make: @escaping @Sendable () -> GrammarNode) -> ID {
        rules.withLock { rules in
            rules.append(.pending(make))
            return ID(index: rules.count - 1)
        }
    }

    /// Adds a rule that matches nothing until it is defined, so that others can refer to it.
    func declare() -> ID {
        rules.withLock { rules in
            rules.append(.made(.choice([])))
            return ID(index: rules.count - 1)
        }
    }

    /// Defines a rule that was declared.
    func define(_ id: ID, as node: GrammarNode) {
        rules.withLock { $0[id.index] = .made(node) }
    }

    /// What a rule says.
    package func node(_ id: ID) -> GrammarNode {
        let make: @Sendable () -> GrammarNode
        switch rules.withLock({ $0[id.index] }) {
        case .made(let node): return node
        case .pending(let closure): make = closure
        }
        let node = make()
        rules.withLock { $0[id.index] = .made(node) }
        return node
    }
}

/// A set of bytes.
package struct ByteSet: Sendable, Hashable {
    private var words: SIMD4<UInt64> = .zero

    /// No bytes.
    package init() {}

    /// The bytes of a range.
    package init(_ range: ClosedRange<UInt8>) {
        for byte in range { insert(byte) }
    }

    /// Whether it holds a byte.
    package func contains(_ byte: UInt8) -> Bool { words[Int(byte >> 6)] >> UInt64(byte & 63) & 1 == 1 }
    /// Adds a byte.
    package mutating func insert(_ byte: UInt8) { words[Int(byte >> 6)] |= 1 << UInt64(byte & 63) }
    /// Adds the bytes of another.
    package mutating func formUnion(_ other: ByteSet) { words |= other.words }
    /// Whether it holds none.
    package var isEmpty: Bool { words == .zero }
}

/// A deterministic finite automaton over bytes. From every state some text is accepted; state 0 is the start.
package final class ByteAutomaton: Sendable {
    /// Leads nowhere.
    package static let dead: Int32 = -1
    private let next: [Int32]
    private let accepting: [Bool]

    /// An automaton from its table: 256 states to go to for each state, ``dead`` where there is none.
    package init(next: [Int32], accepting: [Bool]) {
        precondition(next.count == accepting.count * 256 && !accepting.isEmpty, "one row of 256 for each state")
        self.next = next
        self.accepting = accepting
    }

    /// States, at least one.
    package var stateCount: Int { accepting.count }
    /// Where a byte leads from a state.
    package func next(_ state: Int32, _ byte: UInt8) -> Int32 { next[Int(state) << 8 | Int(byte)] }
    /// Whether a text may end in a state.
    package func accepts(_ state: Int32) -> Bool { accepting[Int(state)] }
}
