/// The bytes of all tokens as a tree, in the order of a walk that goes down first: what a mask is made by walking.
struct TokenTrie: Sendable {
    /// The byte that leads to each node.
    private(set) var bytes: [UInt8] = []
    /// How far below the root each node is, from 1.
    private(set) var depths: [UInt16] = []
    /// The node after all that are below each one.
    private(set) var ends: [Int32] = []
    /// The first of the tokens that end at each node, in ``tokens``; one more than nodes.
    private(set) var firstTokens: [Int32] = []
    /// Tokens by the node that they end at.
    private(set) var tokens: [Int32] = []

    /// The deepest node.
    private(set) var depth = 0

    /// The longest token that can match, in bytes.
    static let depthLimit = 4096

    /// A trie of tokens. Those without bytes, and the empty and very long ones, are left out.
    init(_ vocabulary: [[UInt8]?]) {
        var order: [(token: Int32, bytes: [UInt8])] = []
        order.reserveCapacity(vocabulary.count)
        for (token, bytes) in vocabulary.enumerated() {
            if let bytes, !bytes.isEmpty, bytes.count <= Self.depthLimit { order.append((Int32(token), bytes)) }
        }
        order.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        var path: [Int32] = []
        var previous: [UInt8] = []
        for (token, bytes) in order {
            var shared = 0
            while shared < previous.count, shared < bytes.count, previous[shared] == bytes[shared] { shared += 1 }
            while path.count > shared { ends[Int(path.removeLast())] = Int32(self.bytes.count) }
            for byte in bytes[shared...] {
                path.append(Int32(self.bytes.count))
                self.bytes.append(byte)
                depths.append(UInt16(path.count))
                ends.append(0)
                firstTokens.append(Int32(tokens.count))
            }
            // Equal tokens end at one node; the tokens of a node come before those below it.
            tokens.append(token)
            depth = max(depth, bytes.count)
            previous = bytes
        }
        while let node = path.popLast() { ends[Int(node)] = Int32(bytes.count) }
        firstTokens.append(Int32(tokens.count))
    }

    /// Nodes below the root.
    var count: Int { bytes.count }
}
