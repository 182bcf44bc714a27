/// The prompts that went to one member, as far as it can still have them cached: a radix tree over blocks of tokens.
///
/// A node is known by the hash of all the tokens up to its end; its children need no links, since their hashes follow
/// from it. The nodes that were not used for longest leave first, leaves before what they stand on.
struct PrefixTree {
    /// Tokens in a block.
    static let blockSize = 16

    private struct Node {
        var hash: UInt64
        var next: Int
        var previous: Int
    }

    private let capacity: Int
    private var places: [UInt64: Int] = [:]
    // A ring in the order of use: node 0 is its beginning and end, behind it the most recent.
    private var nodes = [Node(hash: 0, next: 0, previous: 0)]

    /// - Parameter capacity: most blocks that it remembers, at least one.
    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Blocks that it remembers.
    var count: Int { places.count }

    /// The hashes of all prefixes of a prompt that are whole blocks, shortest first.
    static func prefixes(of tokens: [Int32], salt: String?) -> [UInt64] {
        var hash = StableHash(seed: salt == nil ? 0 : 1)
        if let salt { hash.add(salt) }
        return stride(from: blockSize, through: tokens.count, by: blockSize).map { end in
            for token in tokens[(end - blockSize)..<end] { hash.add(UInt64(UInt32(bitPattern: token))) }
            return hash.value
        }
    }

    /// How many of a prompt's blocks it remembers.
    func matches(_ prefixes: [UInt64]) -> Int { prefixes.firstIndex { places[$0] == nil } ?? prefixes.count }

    /// Remembers a prompt, or remembers it as used again.
    mutating func insert(_ prefixes: [UInt64]) {
        // The longest first, so that each node ends up more recent than those below it.
        for hash in prefixes.prefix(capacity).reversed() {
            if let place = places[hash] {
                unlink(place)
                link(place)
            } else if nodes.count <= capacity {
                nodes.append(Node(hash: hash, next: 0, previous: 0))
                places[hash] = nodes.count - 1
                link(nodes.count - 1)
            } else {
                let oldest = nodes[0].previous
                places[nodes[oldest].hash] = nil
                unlink(oldest)
                nodes[oldest].hash = hash
                places[hash] = oldest
                link(oldest)
            }
        }
    }

    private mutating func link(_ place: Int) {
        let first = nodes[0].next
        nodes[place].next = first
        nodes[place].previous = 0
        nodes[first].previous = place
        nodes[0].next = place
    }

    private mutating func unlink(_ place: Int) {
        nodes[nodes[place].previous].next = nodes[place].next
        nodes[nodes[place].next].previous = nodes[place].previous
    }
}
