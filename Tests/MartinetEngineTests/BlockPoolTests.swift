import MartinetEngine
import Testing

@Suite struct BlockPoolTests {
    @Test func handsOutEveryBlockOnceAndNoMore() {
        var pool = BlockPool(blockCount: 5, blockSize: 4)
        let first = pool.allocate(3)
        let second = pool.allocate(2)
        #expect(Set((first ?? []) + (second ?? [])) == [0, 1, 2, 3, 4])
        #expect(pool.freeCount == 0)
        #expect(pool.allocate(1) == nil)
        pool.release(first ?? [])
        #expect(pool.freeCount == 3)
        #expect(pool.allocate(4) == nil)
        #expect(pool.freeCount == 3)
    }

    @Test func reusesEqualPrefixesOnly() {
        var pool = BlockPool(blockCount: 8, blockSize: 2)
        let tokens: [Int32] = [1, 2, 3, 4, 5]
        let blocks = pool.allocate(3) ?? []
        let a = pool.register(blocks[0], tokens: tokens[0..<2], parent: 0)
        _ = pool.register(blocks[1], tokens: tokens[2..<4], parent: a)
        pool.release(blocks)
        #expect(pool.freeCount == 8)
        #expect(pool.cachedFreeCount == 2)

        let hit = pool.takePrefix(of: tokens, root: 0)
        #expect(hit.blocks == [blocks[0], blocks[1]])
        #expect(pool.freeCount == 6)
        #expect(pool.cachedFreeCount == 0)
        // Same second block, other first block: no prefix.
        #expect(pool.takePrefix(of: [9, 9, 3, 4, 5], root: 0).blocks.isEmpty)
        // The last token is left to compute.
        #expect(pool.takePrefix(of: [1, 2, 3, 4], root: 0).blocks == [blocks[0]])
    }

    @Test func saltsKeepPrefixesApart() {
        var pool = BlockPool(blockCount: 4, blockSize: 2)
        let blocks = pool.allocate(1) ?? []
        let salted = pool.root(salt: "a")
        _ = pool.register(blocks[0], tokens: [1, 2], parent: salted)
        pool.release(blocks)
        #expect(pool.takePrefix(of: [1, 2, 3], root: pool.root(salt: nil)).blocks.isEmpty)
        #expect(pool.takePrefix(of: [1, 2, 3], root: pool.root(salt: "b")).blocks.isEmpty)
        #expect(pool.takePrefix(of: [1, 2, 3], root: pool.root(salt: "a")).blocks == blocks)
    }

    @Test func evictsTheLeastRecentlyUsedContentFirst() {
        var pool = BlockPool(blockCount: 2, blockSize: 1)
        for token in Int32(1)...2 {
            let blocks = pool.allocate(1) ?? []
            _ = pool.register(blocks[0], tokens: [token], parent: 0)
            pool.release(blocks)
        }
        let touched = pool.takePrefix(of: [1, 0], root: 0)
        #expect(touched.blocks.count == 1)
        pool.release(touched.blocks)
        _ = pool.allocate(1)
        #expect(pool.takePrefix(of: [2, 0], root: 0).blocks.isEmpty)
        #expect(pool.takePrefix(of: [1, 0], root: 0).blocks.count == 1)
    }

    @Test(arguments: 0..<20) func staysConsistentUnderRandomUse(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var pool = BlockPool(blockCount: 16, blockSize: 2)
        var held: [[Int32]] = []
        for _ in 0..<500 {
            if held.isEmpty || Bool.random(using: &random) {
                let tokens = (0..<Int.random(in: 1...9, using: &random)).map { _ in
                    Int32.random(in: 0...1, using: &random)
                }
                var (blocks, contents) = pool.takePrefix(of: tokens, root: 0)
                guard let fresh = pool.allocate((tokens.count + 1) / 2 - blocks.count) else {
                    pool.release(blocks)
                    continue
                }
                blocks += fresh
                while (contents.count + 1) * 2 <= tokens.count {
                    let index = contents.count
                    contents.append(
                        pool.register(
                            blocks[index], tokens: tokens[(index * 2)..<(index * 2 + 2)], parent: contents.last ?? 0))
                }
                held.append(blocks)
            } else {
                pool.release(held.remove(at: Int.random(in: held.indices, using: &random)))
            }
            #expect(pool.freeCount == 16 - Set(held.joined()).count)
            #expect(pool.cachedFreeCount <= pool.freeCount)
        }
        for blocks in held { pool.release(blocks) }
        #expect(pool.freeCount == 16)
    }
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
