/// The bytes of all tokens as a tree, in the order of a walk that goes down first: what a mask is made by walking.
struct TokenTrie: Sendable {
    /// A text that some token begins with.
    struct Node {
        /// The node after all that are below this one.
        var end: Int32 = 0
        /// The first of the tokens that end here, in ``tokens``; the next node's is one past the last.
        var firstToken: Int32
        /// How far below the root, from 1.
        var depth: UInt16
        /// The byte that leads here.
        var byte: UInt8
        /// Whether all bytes on the ways down from here are plain.
        var isPlainBelow = true
    }

    /// The nodes below the root, and one more after the last.
    private(set) var nodes: [Node] = []
    /// Tokens by the node that they end at.
    private(set) var tokens: [Int32] = []
    /// The deepest node.
    private(set) var depth = 0

    /// The longest token that can match, in bytes.
    static let depthLimit = 4096

    /// The bytes that mean nothing in most notations: where one of them leads back to the same state, they mostly all do.
    /// The walk takes what lies below at once where it holds no others.
    static let plainBytes: [UInt8] = (0x20...0x7E).filter { $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }

    /// A trie of tokens. Those without bytes, and the empty and very long ones, are left out.
    init(_ vocabulary: [[UInt8]?]) {
        // By their first eight bytes, which mostly tell them apart.
        var order: [(key: UInt64, token: Int32)] = []
        order.reserveCapacity(vocabulary.count)
        for (token, bytes) in vocabulary.enumerated() {
            guard let bytes, !bytes.isEmpty, bytes.count <= Self.depthLimit else { continue }
            var key: UInt64 = 0
            for place in 0..<8 { key = key << 8 | (place < bytes.count ? UInt64(bytes[place]) : 0) }
            order.append((key, Int32(token)))
        }
        func bytes(_ token: Int32) -> [UInt8] { vocabulary[Int(token)] ?? [] }
        order.sort { left, right in
            left.key == right.key
                ? bytes(left.token).lexicographicallyPrecedes(bytes(right.token)) : left.key < right.key
        }
        var isPlain = [Bool](repeating: false, count: 256)
        for byte in Self.plainBytes { isPlain[Int(byte)] = true }
        var path: [Int32] = []
        var previous: [UInt8] = []
        // Closes the nodes deeper than a depth.
        func close(_ depth: Int, _ nodes: inout [Node]) {
            while path.count > depth, let last = path.popLast() {
                nodes[Int(last)].end = Int32(nodes.count)
                let isPlainBelow = nodes[Int(last)].isPlainBelow && isPlain[Int(nodes[Int(last)].byte)]
                if !isPlainBelow, let parent = path.last { nodes[Int(parent)].isPlainBelow = false }
            }
        }
        for (_, token) in order {
            let bytes = bytes(token)
            var shared = 0
            while shared < previous.count, shared < bytes.count, previous[shared] == bytes[shared] { shared += 1 }
            close(shared, &nodes)
            for byte in bytes[shared...] {
                path.append(Int32(nodes.count))
                nodes.append(Node(firstToken: Int32(tokens.count), depth: UInt16(path.count), byte: byte))
            }
            // Equal tokens end at one node; the tokens of a node come before those below it.
            tokens.append(token)
            depth = max(depth, bytes.count)
            previous = bytes
        }
        close(0, &nodes)
        nodes.append(Node(end: Int32(nodes.count), firstToken: Int32(tokens.count), depth: 0, byte: 0))
    }

    /// Nodes below the root.
    var count: Int { nodes.count - 1 }
}
