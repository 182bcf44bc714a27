import MartinetEngine
import Testing

@Suite struct SchedulerTests {
    private func scheduler(
        blocks: Int = 32, tokens: Int = 16, sequences: Int = 4, reuses: Bool = true
    ) -> Scheduler {
        Scheduler(
            pool: BlockPool(blockCount: blocks, blockSize: 4, reuses: reuses),
            limits: .init(maxBatchedTokens: tokens, maxSequences: sequences, maxLogitRows: sequences))
    }

    private func sequence(
        _ number: UInt64, prompt: Int, priority: Int = 0, maxTokens: Int = 100, drafter: Drafter? = nil
    ) -> SequenceState {
        let tokens = (0..<prompt).map { Int32(truncatingIfNeeded: $0 &* 7 &+ Int(number) &* 13) & 63 }
        let request = EngineRequest(id: "\(number)", prompt: tokens, sampling: .greedy, priority: priority)
        return SequenceState(
            number: number, request: request, maxTokens: maxTokens,
            sampler: SequenceSampler(parameters: .greedy, seed: 0, sampleIndex: 0, prompt: tokens, endTokens: []),
            drafter: drafter, sink: Mailbox(), ticket: SequenceTicket { _ in })
    }

    /// Does what the step loop does with a plan: completes it and adds a token to each sequence that samples.
    private func execute(_ scheduler: inout Scheduler) -> [(number: UInt64, count: Int)] {
        let items = scheduler.schedule()
        let sampling = items.filter(\.samples)
        scheduler.complete(items)
        for item in sampling {
            item.sequence.promptDone = true
            item.sequence.append(1)
        }
        return items.map { ($0.sequence.number, $0.count) }
    }

    private func plan(_ scheduler: inout Scheduler) -> String {
        execute(&scheduler).map { "\($0.number):\($0.count)" }.joined(separator: " ")
    }

    @Test func promptsAreChunkedAndDecodesComeFirst() {
        var scheduler = scheduler()
        scheduler.add(sequence(1, prompt: 3))
        scheduler.add(sequence(2, prompt: 40))
        #expect(plan(&scheduler) == "1:3 2:13")
        #expect(plan(&scheduler) == "1:1 2:15")
        scheduler.add(sequence(3, prompt: 2))
        #expect(plan(&scheduler) == "1:1 2:12 3:2")
        #expect(plan(&scheduler) == "1:1 2:1 3:1")
    }

    @Test func promptsTakeNoMoreThanDecodesCanSpare() {
        var scheduler = scheduler()
        let plan = { (scheduler: inout Scheduler) in
            let items = scheduler.schedule { decodes, _ in decodes == 0 ? .max : 5 }
            scheduler.complete(items)
            for item in items where item.sequence.pending == 0 {
                item.sequence.promptDone = true
                item.sequence.append(1)
            }
            return items.map { "\($0.sequence.number):\($0.count)" }.joined(separator: " ")
        }
        scheduler.add(sequence(1, prompt: 3))
        scheduler.add(sequence(2, prompt: 20))
        scheduler.add(sequence(3, prompt: 4))
        #expect(plan(&scheduler) == "1:3 2:13")
        #expect(plan(&scheduler) == "1:1 2:5")
        // What the one prompt leaves is the next one's.
        #expect(plan(&scheduler) == "1:1 2:2 3:3")
        #expect(plan(&scheduler) == "1:1 2:1 3:1")
    }

    @Test func noMoreSequencesThanAllowed() {
        var scheduler = scheduler(sequences: 2)
        for number in 1...5 { scheduler.add(sequence(UInt64(number), prompt: 2)) }
        #expect(plan(&scheduler) == "1:2 2:2")
        #expect(plan(&scheduler) == "1:1 2:1")
        #expect(scheduler.waiting.count == 3)
        scheduler.remove(scheduler.running[0])
        #expect(plan(&scheduler) == "2:1 3:2")
    }

    @Test func noSequenceStarvesWhereTheBudgetIsSmall() {
        var scheduler = scheduler(tokens: 3, sequences: 4)
        for number in 1...4 { scheduler.add(sequence(UInt64(number), prompt: 2)) }
        var lastStep: [UInt64: Int] = [:]
        for step in 0..<12 {
            for item in execute(&scheduler) { lastStep[item.number] = step }
        }
        #expect(scheduler.running.map(\.number) == [1, 2, 3])
        for number in 1...3 { #expect(lastStep[UInt64(number)] == 11) }
        #expect(lastStep[4] == nil)
    }

    @Test func theLastSequenceGivesWay() {
        var scheduler = scheduler(blocks: 6, reuses: false)
        scheduler.add(sequence(1, prompt: 8))
        scheduler.add(sequence(2, prompt: 8))
        #expect(plan(&scheduler) == "1:8 2:8")
        #expect(plan(&scheduler) == "1:1 2:1")
        for _ in 0..<3 { #expect(plan(&scheduler) == "1:1 2:1") }
        // Both need a fourth block, and none is left.
        #expect(plan(&scheduler) == "1:1")
        #expect(scheduler.preemptions == 1)
        #expect(scheduler.waiting.map(\.number) == [2])
        #expect(scheduler.pool.freeCount == 2)
        scheduler.remove(scheduler.running[0])
        // Prompt and output are computed again.
        #expect(plan(&scheduler) == "2:13")
    }

    @Test func priorityDecidesWhoWaitsAndWhoGivesWay() {
        var scheduler = scheduler(blocks: 6, reuses: false)
        scheduler.add(sequence(1, prompt: 8, priority: 5))
        #expect(plan(&scheduler) == "1:8")
        scheduler.add(sequence(2, prompt: 8, priority: 0))
        #expect(plan(&scheduler) == "1:1 2:8")
        var steps = 0
        while scheduler.preemptions == 0, steps < 10 {
            _ = execute(&scheduler)
            steps += 1
        }
        #expect(scheduler.waiting.map(\.number) == [1])
    }

    /// A sequence that says the same token again and again, and has been doing so for a while.
    private func predictable(
        _ scheduler: inout Scheduler, number: UInt64 = 1, length: Int = 61, maxTokens: Int = 100
    ) -> SequenceState {
        let sequence = sequence(
            number, prompt: 2, maxTokens: maxTokens, drafter: Drafter(maxDraftTokens: 8, matching: 1...2))
        scheduler.add(sequence)
        while sequence.tokens.count < length {
            for item in scheduler.schedule() {
                scheduler.complete([item])
                scheduler.completeDrafts(of: item)
                sequence.promptDone = true
                sequence.append(1)
            }
        }
        return sequence
    }

    @Test func draftsTakeWhatIsLeftOfAStep() {
        var scheduler = scheduler(tokens: 8, sequences: 8)
        let first = predictable(&scheduler)
        #expect(scheduler.schedule().map { $0.drafts.count } == [7])
        scheduler.add(sequence(2, prompt: 5))
        let items = scheduler.schedule()
        #expect(items.map(\.count) == [1, 5])
        #expect(items.map { $0.drafts.count }.allSatisfy { $0 <= 2 })
        #expect(items.reduce(0) { $0 + scheduler.logitRows(of: $1) } <= 8)
        scheduler.add(sequence(3, prompt: 20))
        #expect(scheduler.schedule().map { $0.drafts.count } == [0, 0, 0])
        scheduler.remove(first)
    }

    @Test func draftsEndWhereTheOutputDoes() {
        var scheduler = scheduler(sequences: 16)
        _ = predictable(&scheduler, length: 50, maxTokens: 52)
        // Four more tokens: three guesses and what follows them.
        #expect(scheduler.schedule().map { $0.drafts.count } == [3])
    }

    @Test func draftsTakeFreeBlocksOnlyAndGiveThemBack() {
        // Room for 24 tokens, 22 are there: 21 computed, and 2 slots behind the last one.
        var scheduler = scheduler(blocks: 6, sequences: 16)
        let sequence = predictable(&scheduler, length: 22)
        let items = scheduler.schedule()
        #expect(items.map { $0.drafts.count } == [2])
        #expect(scheduler.preemptions == 0)
        scheduler.remove(sequence)
        #expect(scheduler.pool.freeCount == 6)
    }

    @Test(arguments: 0...8) func rejectedDraftsLeaveNothingBehind(accepted: Int) throws {
        var scheduler = scheduler(sequences: 16)
        let sequence = predictable(&scheduler)
        #expect(scheduler.pool.freeCount == 17)
        let item = try #require(scheduler.schedule().first)
        #expect(item.drafts == Array(repeating: 1, count: 8))
        #expect(scheduler.pool.freeCount == 14)
        scheduler.complete([item])
        for index in 0...accepted {
            sequence.append(index < accepted ? 1 : 2)
            if index < accepted { sequence.computed += 1 }
        }
        scheduler.completeDrafts(of: item)
        // As if each token had had a step of its own.
        #expect(sequence.computed == 61 + accepted)
        #expect(sequence.blocks.count == (61 + accepted + 3) / 4)
        #expect(sequence.contents.count == (61 + accepted) / 4)
        #expect(scheduler.pool.freeCount == 32 - sequence.blocks.count)
        scheduler.remove(sequence)
        #expect(scheduler.pool.freeCount == 32)
        // A later sequence finds what was verified, and no more.
        let tokens = Array(sequence.tokens[..<(61 + accepted)]) + Array(repeating: 1, count: 10)
        let found = scheduler.pool.freeBlocksInPrefix(of: tokens, root: scheduler.pool.root(salt: nil))
        #expect(found.hits == (61 + accepted) / 4)
    }

    @Test func removingFreesEverything() {
        var scheduler = scheduler()
        let all = (1...3).map { sequence(UInt64($0), prompt: 9) }
        for sequence in all { scheduler.add(sequence) }
        _ = execute(&scheduler)
        for sequence in all { scheduler.remove(sequence) }
        scheduler.remove(all[0])
        #expect(scheduler.isIdle)
        #expect(scheduler.pool.freeCount == 32)
        #expect(scheduler.schedule().isEmpty)
    }
}
