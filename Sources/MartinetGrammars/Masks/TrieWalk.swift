/// Walks a trie of tokens from a position whose frame is not looked into. The states that it comes to are numbered, and
/// where bytes lead from them is kept from one walk to the next.
struct TrieWalk {
    private struct State {
        let reading: [Configuration]
        let exits: Bool
    }

    private static let none: Int32 = -1
    private static let unknown: Int32 = -2
    /// The most states that are kept from one walk to the next.
    private static let stateLimit = 4096

    private var frames = FrameStore()
    private var states: [State] = []
    private var numbers: [[Configuration]: Int32] = [:]
    private var rows: [Int32] = []

    /// Walks the nodes of a range, which are whole subtrees of one node.
    ///
    /// - Parameters:
    ///   - accept: is told the tokens that may follow.
    ///   - exit: is told the nodes with others below where the position's routine may end.
    mutating func run(
        _ trie: TokenTrie, _ range: Range<Int>, from position: Int32, _ positions: inout PositionTable,
        accept: (ArraySlice<Int32>) -> Void, exit: (Int32) -> Void
    ) {
        guard !range.isEmpty else { return }
        if states.count > Self.stateLimit { self = TrieWalk() }
        let top = Int(trie.depths[range.lowerBound]) - 1
        // The states on the way down to the node at hand.
        var path = [Int32](repeating: 0, count: trie.depth + 1 - top)
        path[0] = number([Configuration(position: position, frame: 0)], &positions)
        var node = range.lowerBound
        while node < range.upperBound {
            let depth = Int(trie.depths[node]) - top
            let byte = trie.bytes[node]
            var next = rows[Int(path[depth - 1]) << 8 | Int(byte)]
            if next == Self.unknown { next = find(path[depth - 1], byte, &positions) }
            if next == Self.none {
                node = Int(trie.ends[node])
                continue
            }
            path[depth] = next
            let first = Int(trie.firstTokens[node])
            let last = Int(trie.firstTokens[node + 1])
            if first < last { accept(trie.tokens[first..<last]) }
            if states[Int(next)].exits, Int(trie.ends[node]) > node + 1 { exit(Int32(node)) }
            node += 1
        }
    }

    private mutating func find(_ state: Int32, _ byte: UInt8, _ positions: inout PositionTable) -> Int32 {
        let configurations = positions.step(states[Int(state)].reading, byte)
        let next = configurations.isEmpty ? Self.none : number(configurations, &positions)
        rows[Int(state) << 8 | Int(byte)] = next
        return next
    }

    private mutating func number(_ configurations: [Configuration], _ positions: inout PositionTable) -> Int32 {
        if let number = numbers[configurations] { return number }
        let expansion = positions.expand(configurations, &frames)
        let number = Int32(states.count)
        states.append(State(reading: expansion.reading, exits: expansion.isComplete))
        numbers[configurations] = number
        rows.append(contentsOf: repeatElement(Self.unknown, count: 256))
        return number
    }
}
