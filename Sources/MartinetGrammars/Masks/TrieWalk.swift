/// Walks a trie of tokens from a position whose frame is not looked into. The states that it comes to are numbered, and
/// where bytes lead from them is kept from one walk to the next.
struct TrieWalk {
    private struct State {
        let reading: [Configuration]
        /// Whether the position's routine may end here.
        let exits: Bool
        /// Whether every plain byte leads back here; `nil` before that is known.
        var isPlainLoop: Bool?
    }

    private static let none: Int32 = -1
    private static let unknown: Int32 = -2
    /// The most states that are kept, and the most configurations in them.
    private static let stateLimit = 4096
    private static let configurationLimit = 1 << 19
    /// The most frames that are kept from one walk to the next.
    private static let frameLimit = 65536

    /// The tokens that may follow, found by the last walks.
    private(set) var tokens: [Int32] = []
    /// The nodes with others below where the position's routine may end, found by the last walks.
    private(set) var exits: [Int32] = []

    private var frames = FrameStore()
    private var states: [State] = []
    private var configurationCount = 0
    /// How many states are kept. A walk drops those beyond when it goes up again.
    private var kept = TrieWalk.stateLimit
    private var numbers: [[Configuration]: Int32] = [:]
    private var rows: [Int32] = []
    private var start: Int32 = 0
    private var path: [Int32] = []

    /// Forgets what the last walks found, and begins at a position.
    mutating func begin(_ position: Int32, _ positions: inout PositionTable) {
        tokens.removeAll(keepingCapacity: true)
        exits.removeAll(keepingCapacity: true)
        if states.count >= kept || configurationCount > Self.configurationLimit || frames.count > Self.frameLimit {
            self = TrieWalk()
        }
        start = number([Configuration(position: position, frame: 0)], &positions)
    }

    /// Bytes that are kept, roughly.
    var size: Int { states.count * 1280 + configurationCount * 16 + frames.count * 32 }

    /// Walks the nodes of a range, which are whole subtrees of one node.
    mutating func run(_ trie: TokenTrie, _ range: Range<Int>, _ positions: inout PositionTable) {
        guard !range.isEmpty else { return }
        let top = Int(trie.nodes[range.lowerBound].depth) - 1
        if path.count <= trie.depth { path = [Int32](repeating: 0, count: trie.depth + 1) }
        drop(to: kept)
        path[0] = start
        trie.nodes.withUnsafeBufferPointer { nodes in
            var place = range.lowerBound
            while place < range.upperBound {
                let node = nodes[place]
                let depth = Int(node.depth) - top
                let from = path[depth - 1]
                var next = rows[Int(from) << 8 | Int(node.byte)]
                if next == Self.unknown { next = find(from, node.byte, &positions) }
                guard next != Self.none else {
                    place = Int(node.end)
                    continue
                }
                path[depth] = next
                let end = Int(node.end)
                if end > place + 1 {
                    if states[Int(next)].exits {
                        exits.append(Int32(place))
                    } else if node.isPlainBelow, isPlainLoop(next, &positions) {
                        tokens += trie.tokens[Int(node.firstToken)..<Int(nodes[end].firstToken)]
                        place = end
                        continue
                    }
                }
                place += 1
                for token in Int(node.firstToken)..<Int(nodes[place].firstToken) { tokens.append(trie.tokens[token]) }
            }
        }
    }

    private mutating func isPlainLoop(_ state: Int32, _ positions: inout PositionTable) -> Bool {
        if let known = states[Int(state)].isPlainLoop { return known }
        let result = TokenTrie.plainBytes.allSatisfy { byte in
            let known = rows[Int(state) << 8 | Int(byte)]
            return (known == Self.unknown ? find(state, byte, &positions) : known) == state
        }
        states[Int(state)].isPlainLoop = result
        return result
    }

    private mutating func find(_ state: Int32, _ byte: UInt8, _ positions: inout PositionTable) -> Int32 {
        drop(to: max(Int(state) + 1, kept))
        let configurations = positions.step(states[Int(state)].reading, byte)
        let next = configurations.isEmpty ? Self.none : number(configurations, &positions)
        if next < kept { rows[Int(state) << 8 | Int(byte)] = next }
        return next
    }

    /// Drops the states beyond the limit that the walk has left.
    private mutating func drop(to count: Int) {
        guard states.count > count else { return }
        states.removeLast(states.count - count)
        rows.removeLast(rows.count - count * 256)
    }

    private mutating func number(_ configurations: [Configuration], _ positions: inout PositionTable) -> Int32 {
        if let number = numbers[configurations] { return number }
        let expansion = positions.expand(configurations, &frames)
        let number = Int32(states.count)
        if configurationCount > Self.configurationLimit { kept = min(kept, states.count) }
        states.append(State(reading: expansion.reading, exits: expansion.isComplete))
        if number < kept {
            numbers[configurations] = number
            configurationCount += configurations.count + expansion.reading.count
        }
        rows.append(contentsOf: repeatElement(Self.unknown, count: 256))
        return number
    }
}
