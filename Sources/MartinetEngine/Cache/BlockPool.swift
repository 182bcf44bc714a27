/// Hands out the blocks of a paged KV cache, counts who uses each, and finds blocks whose content can be reused.
///
/// A full block is known by the content before it and the tokens in it: its key names the content id of the block in
/// front, so equal keys mean equal prefixes, without any chance of a hash collision. Blocks that nobody uses keep their
/// content until they are needed for something else, least recently used first.
package struct BlockPool {
    /// What a block holds: everything up to and including its tokens.
    package typealias ContentID = UInt64

    private struct ContentKey: Hashable {
        var parent: ContentID
        var tokens: [Int32]
    }

    private struct CachedBlock {
        var block: Int32
        var content: ContentID
    }

    /// Tokens in a block.
    package let blockSize: Int
    /// Blocks in the pool.
    package let blockCount: Int
    private let reuses: Bool

    private var useCounts: [Int32]
    private var keys: [ContentKey?]
    private var cached: [ContentKey: CachedBlock] = [:]
    private var roots: [String: ContentID] = [:]
    private var nextContent: ContentID = 1

    // Unused blocks in the order of reuse: a doubly linked list through the arrays, `blockCount` its sentinel.
    private var next: [Int32]
    private var previous: [Int32]
    /// Blocks that nobody uses, with or without reusable content.
    package private(set) var freeCount: Int

    /// Makes a pool of unused blocks.
    package init(blockCount: Int, blockSize: Int, reuses: Bool = true) {
        self.blockCount = blockCount
        self.blockSize = blockSize
        self.reuses = reuses
        useCounts = Array(repeating: 0, count: blockCount)
        keys = Array(repeating: nil, count: blockCount)
        let ring = Int32(blockCount + 1)
        next = (0..<ring).map { ($0 + 1) % ring }
        previous = (0..<ring).map { ($0 + ring - 1) % ring }
        freeCount = blockCount
    }

    /// Those of the unused blocks that hold reusable content.
    package private(set) var cachedFreeCount = 0

    /// The content id in front of a sequence's first block. Sequences share prefixes within one salt only.
    package mutating func root(salt: String?) -> ContentID {
        guard let salt else { return 0 }
        if let root = roots[salt] { return root }
        // Ids are never reused, so forgetting old salts only costs them their reuse.
        if roots.count >= 4096 { roots.removeAll(keepingCapacity: true) }
        let root = makeContent()
        roots[salt] = root
        return root
    }

    /// Takes the cached blocks that hold the longest prefix of `tokens`, leaving at least one token to compute.
    ///
    /// - Returns: the blocks, now used once more each, and the content ids of each.
    package mutating func takePrefix(of tokens: [Int32], root: ContentID) -> (blocks: [Int32], contents: [ContentID]) {
        var blocks: [Int32] = []
        var contents: [ContentID] = []
        guard reuses else { return (blocks, contents) }
        var parent = root
        var end = blockSize
        while end < tokens.count {
            let key = ContentKey(parent: parent, tokens: Array(tokens[(end - blockSize)..<end]))
            guard let hit = cached[key] else { break }
            take(hit.block)
            blocks.append(hit.block)
            contents.append(hit.content)
            parent = hit.content
            end += blockSize
        }
        return (blocks, contents)
    }

    /// How many of `takePrefix`'s blocks are unused now: taking them lowers `freeCount` by as much.
    package func freeBlocksInPrefix(of tokens: [Int32], root: ContentID) -> (hits: Int, free: Int) {
        guard reuses else { return (0, 0) }
        var parent = root
        var end = blockSize
        var hits = 0
        var free = 0
        while end < tokens.count {
            let key = ContentKey(parent: parent, tokens: Array(tokens[(end - blockSize)..<end]))
            guard let hit = cached[key] else { break }
            hits += 1
            if useCounts[Int(hit.block)] == 0 { free += 1 }
            parent = hit.content
            end += blockSize
        }
        return (hits, free)
    }

    /// Takes `count` blocks for new content, all or none.
    package mutating func allocate(_ count: Int) -> [Int32]? {
        guard count <= freeCount else { return nil }
        return (0..<count).map { _ in
            let block = next[blockCount]
            take(block)
            if let key = keys[Int(block)] {
                cached[key] = nil
                keys[Int(block)] = nil
            }
            return block
        }
    }

    /// Remembers what a full block holds, so that later sequences can reuse it.
    ///
    /// - Parameters:
    ///   - block: a block in use, filled with keys and values of `tokens`.
    ///   - parent: the content in front of it.
    /// - Returns: the content id of the block, the parent of the one behind it.
    package mutating func register(_ block: Int32, tokens: ArraySlice<Int32>, parent: ContentID) -> ContentID {
        guard reuses else { return 0 }
        let key = ContentKey(parent: parent, tokens: Array(tokens))
        if let known = cached[key] { return known.content }
        let content = makeContent()
        cached[key] = CachedBlock(block: block, content: content)
        keys[Int(block)] = key
        return content
    }

    /// Gives up one use of each block of a sequence. The last blocks become reusable memory first.
    package mutating func release(_ blocks: [Int32]) {
        for block in blocks.reversed() {
            let index = Int(block)
            useCounts[index] -= 1
            guard useCounts[index] == 0 else { continue }
            // Without content it is taken next; with content, after all that were released before it.
            let after = keys[index] == nil ? Int32(blockCount) : previous[blockCount]
            let before = next[Int(after)]
            next[Int(after)] = block
            previous[index] = after
            next[index] = before
            previous[Int(before)] = block
            freeCount += 1
            if keys[index] != nil { cachedFreeCount += 1 }
        }
    }

    private mutating func take(_ block: Int32) {
        let index = Int(block)
        if useCounts[index] == 0 {
            next[Int(previous[index])] = next[index]
            previous[Int(next[index])] = previous[index]
            freeCount -= 1
            if keys[index] != nil { cachedFreeCount -= 1 }
        }
        useCounts[index] += 1
    }

    private mutating func makeContent() -> ContentID {
        defer { nextContent += 1 }
        return nextContent
    }
}
