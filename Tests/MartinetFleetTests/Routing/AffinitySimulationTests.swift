import MartinetEngine
import MartinetFleet
import Testing

/// What affinity is for, and what it must not do: chats over two members, each with a KV cache as the engine's.
@Suite(.timeLimit(.minutes(5))) struct AffinitySimulationTests {
    /// A member: its cache, and what it works through at a fixed speed.
    private struct Member {
        var blocks: BlockPool
        var outstanding = 0
        var running: [(tokens: Int, blocks: [Int32])] = []
        var work = 0
        var promptTokens = 0
        var cachedTokens = 0

        init(blockCount: Int) { blocks = BlockPool(blockCount: blockCount, blockSize: 16) }

        mutating func start(_ prompt: [Int32], output: [Int32]) {
            var (held, contents) = blocks.takePrefix(of: prompt, root: 0)
            let cached = held.count * 16
            promptTokens += prompt.count
            cachedTokens += cached
            let all = prompt + output
            if let fresh = blocks.allocate(all.count / 16 - held.count + 1) { held += fresh }
            for index in contents.count..<(all.count / 16) where index < held.count {
                contents.append(
                    blocks.register(
                        held[index], tokens: all[(index * 16)..<(index * 16 + 16)], parent: contents.last ?? 0))
            }
            let tokens = prompt.count - cached + output.count
            work += tokens
            // As the pool counts it: it does not know what is cached.
            outstanding += all.count
            running.append((all.count, held))
        }

        /// Ends what `tokens` of work are enough for, in order.
        mutating func advance(_ tokens: Int) {
            var budget = tokens
            while let first = running.first, first.tokens <= budget {
                budget -= first.tokens
                outstanding -= first.tokens
                blocks.release(first.blocks)
                running.removeFirst()
            }
        }
    }

    private struct Outcome {
        var hitRate: Double
        var work: [Int]
        /// The largest member's share of outstanding tokens over the mean, averaged over time.
        var meanSkew: Double
    }

    /// Chats whose turns interleave at random; each turn's prompt is all that was said before and something new.
    private func simulate(members count: Int, policy: any RoutingPolicy, chats: Int, heavyShare: Double) -> Outcome {
        var random = SeededGenerator(seed: 5)
        var members = (0..<count).map { _ in Member(blockCount: 6000 / count) }
        let system = (0..<100).map { _ in Int32.random(in: 0..<1000, using: &random) }
        var histories = (0..<chats).map { _ in system }
        var skews: [Double] = []
        for _ in 0..<(chats * 8) {
            // Some chats talk much more than others.
            let isHeavy = Double.random(in: 0..<1, using: &random) < heavyShare
            let chat = Int.random(in: 0..<(isHeavy ? max(1, chats / 10) : chats), using: &random)
            func tokens(_ range: ClosedRange<Int>) -> [Int32] {
                (0..<Int.random(in: range, using: &random)).map { _ in Int32.random(in: 0..<1000, using: &random) }
            }
            if histories[chat].count > 1500 { histories[chat] = system }
            let prompt = histories[chat] + tokens(20...120)
            let output = tokens(20...150)
            histories[chat] = prompt + output
            let candidates = members.indices.map {
                RoutingCandidate(id: "\($0)", outstandingTokens: members[$0].outstanding)
            }
            let chosen = policy.choose(among: candidates, for: RoutingKey(tokens: prompt))
            members[chosen].start(prompt, output: output)
            for index in members.indices { members[index].advance(1600 / count) }
            let loads = members.map { Double($0.outstanding) }
            let mean = loads.reduce(0, +) / Double(count)
            if mean > 2000 { skews.append((loads.max() ?? 0) / mean) }
        }
        let prompt = members.reduce(0) { $0 + $1.promptTokens }
        let cached = members.reduce(0) { $0 + $1.cachedTokens }
        return Outcome(
            hitRate: Double(cached) / Double(prompt), work: members.map(\.work),
            meanSkew: skews.isEmpty ? 1 : skews.reduce(0, +) / Double(skews.count))
    }

    @Test(arguments: [0.0, 0.5, 0.8]) func chatsHitAsOftenAsWithOneMember(heavyShare: Double) {
        let single = simulate(members: 1, policy: RoundRobin(), chats: 60, heavyShare: heavyShare)
        let affine = simulate(members: 2, policy: PrefixAffinity(), chats: 60, heavyShare: heavyShare)
        let even = simulate(members: 2, policy: RoundRobin(), chats: 60, heavyShare: heavyShare)
        #expect(single.hitRate > 0.6)
        #expect(affine.hitRate > single.hitRate * 0.95, "\(affine) \(single)")
        #expect(even.hitRate < affine.hitRate, "\(even) \(affine)")
    }

    @Test(arguments: [2, 4], [0.5, 0.95]) func noMemberBecomesAHotSpot(members: Int, heavyShare: Double) {
        let outcome = simulate(members: members, policy: PrefixAffinity(), chats: 60, heavyShare: heavyShare)
        let mean = Double(outcome.work.reduce(0, +)) / Double(members)
        #expect(Double(outcome.work.max() ?? 0) <= 1.5 * mean, "\(outcome)")
        #expect(outcome.meanSkew <= 1.5, "\(outcome)")
    }
}
