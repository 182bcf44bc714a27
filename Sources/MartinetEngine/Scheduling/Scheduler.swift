/// Decides what each step computes: a pure state machine over sequences and the block pool.
///
/// Every step has a token budget. Sequences that decode come first, one token each; then prompt chunks of sequences
/// that run; then waiting sequences, by priority and arrival; both as far as those that decode can spare. Where blocks run out, the sequence that comes last gives
/// its blocks back and waits to be computed again. What is left of the budget may go to guesses of the tokens behind
/// those that decode, where that pays.
package struct Scheduler {
    /// A sequence's share of a step.
    package struct Item {
        /// The sequence.
        package var sequence: SequenceState
        /// Tokens to compute, from `sequence.computed` on.
        package var count: Int
        /// Guesses of the tokens behind the last one, to be computed with it.
        package var drafts: [Int32] = []
        /// Whether the step reaches the sequence's last token, so that a new one can be sampled.
        package var samples: Bool { sequence.computed + count == sequence.tokens.count }
    }

    /// The bounds of a step.
    package struct Limits {
        /// Most tokens in a step.
        package var maxBatchedTokens: Int
        /// Most sequences in a step.
        package var maxSequences: Int
        /// Most rows of logits in a step; at least `maxSequences`.
        package var maxLogitRows: Int

        /// Describes the bounds.
        package init(maxBatchedTokens: Int, maxSequences: Int, maxLogitRows: Int) {
            self.maxBatchedTokens = maxBatchedTokens
            self.maxSequences = maxSequences
            self.maxLogitRows = maxLogitRows
        }
    }

    /// The blocks.
    package var pool: BlockPool
    /// Sequences that hold blocks, in order of precedence.
    package private(set) var running: [SequenceState] = []
    /// Sequences that wait, in order of precedence.
    package private(set) var waiting: [SequenceState] = []
    /// Sequences put back for want of blocks, ever.
    package private(set) var preemptions: UInt64 = 0
    private let limits: Limits

    /// Makes a scheduler without sequences.
    package init(pool: BlockPool, limits: Limits) {
        self.pool = pool
        self.limits = limits
    }

    /// Whether no sequence runs or waits.
    package var isIdle: Bool { running.isEmpty && waiting.isEmpty }
    /// Whether there is nothing to compute: all that wait do so for their grammars.
    package var isBlocked: Bool { running.isEmpty && !waiting.contains(where: \.isReady) }

    /// Adds a sequence that waits.
    package mutating func add(_ sequence: SequenceState) { Self.insert(sequence, into: &waiting) }

    /// Removes a sequence and frees its blocks; does nothing for one that is not here.
    package mutating func remove(_ sequence: SequenceState) {
        waiting.removeAll { $0 === sequence }
        if let index = running.firstIndex(where: { $0 === sequence }) {
            running.remove(at: index)
            sequence.isRunning = false
            releaseBlocks(of: sequence)
        }
    }

    /// Plans a step. Empty only where no sequence runs or could.
    ///
    /// - Parameter promptTokens: most prompt tokens, at least 1, in a step where so many sequences decode and so many
    ///   others are still at their prompts or wait.
    package mutating func schedule(promptTokens: (_ decodes: Int, _ prompts: Int) -> Int = { _, _ in .max }) -> [Item] {
        var budget = limits.maxBatchedTokens
        var rows = limits.maxLogitRows
        let decodes = running.count { $0.pending == 1 }
        let most = promptTokens(decodes, running.count - decodes + waiting.count(where: \.isReady))
        var items = scheduleKnownTokens(budget: &budget, rows: &rows, promptTokens: most)
        addDrafts(to: &items, budget: budget, rows: rows)
        return items
    }

    private mutating func scheduleKnownTokens(budget: inout Int, rows: inout Int, promptTokens: Int) -> [Item] {
        var items: [Item] = []
        var prompts = promptTokens
        let preemptionsBefore = preemptions

        // Decodes first: a long prompt never delays them by more than the budget.
        var candidates = running.filter { $0.pending == 1 } + running.filter { $0.pending != 1 }
        candidates.reverse()
        while budget > 0, let sequence = candidates.popLast() {
            guard sequence.isRunning else { continue }
            let decodes = sequence.pending == 1
            let count = chunk(of: sequence, budget: decodes ? budget : min(budget, prompts), rows: rows)
            guard count > 0 else { continue }
            while !reserve(sequence, through: sequence.computed + count), let victim = running.last {
                items.removeAll {
                    guard $0.sequence === victim else { return false }
                    budget += $0.count
                    rows += logitRows(of: $0)
                    return true
                }
                preempt(victim)
                if victim === sequence { break }
            }
            guard sequence.isRunning else { continue }
            add(Item(sequence: sequence, count: count), to: &items, budget: &budget, rows: &rows)
            if !decodes { prompts -= count }
        }

        // No more than can all decode in one step: else the last would wait while others go on.
        let places = min(limits.maxSequences, limits.maxBatchedTokens)
        // A sequence just put back must not come in again before those that displaced it.
        guard preemptions == preemptionsBefore else { return items }
        while budget > 0, prompts > 0, running.count < places, let index = waiting.firstIndex(where: \.isReady) {
            let sequence = waiting[index]
            let room = min(budget, prompts)
            guard start(sequence, budget: room, rows: rows) else { break }
            waiting.remove(at: index)
            sequence.isRunning = true
            Self.insert(sequence, into: &running)
            let count = chunk(of: sequence, budget: room, rows: rows)
            add(Item(sequence: sequence, count: count), to: &items, budget: &budget, rows: &rows)
            prompts -= count
        }
        return items
    }

    /// Marks a step's tokens as computed and remembers the blocks that became full.
    package mutating func complete(_ items: [Item]) {
        for item in items {
            item.sequence.computed += item.count
            registerFullBlocks(of: item.sequence)
        }
    }

    /// Ends the verification of an item's drafts: those that held count as computed by now. Blocks that only the others
    /// needed go back.
    package mutating func completeDrafts(of item: Item) {
        guard !item.drafts.isEmpty else { return }
        let sequence = item.sequence
        registerFullBlocks(of: sequence)
        let needed = blocksNeeded(sequence.computed)
        pool.release(Array(sequence.blocks[needed...]))
        sequence.blocks.removeSubrange(needed...)
    }

    private mutating func registerFullBlocks(of sequence: SequenceState) {
        var parent = sequence.contents.last ?? pool.root(salt: sequence.request.cacheSalt)
        while (sequence.contents.count + 1) * pool.blockSize <= sequence.computed {
            let index = sequence.contents.count
            let tokens = sequence.tokens[(index * pool.blockSize)..<((index + 1) * pool.blockSize)]
            parent = pool.register(sequence.blocks[index], tokens: tokens, parent: parent)
            sequence.contents.append(parent)
        }
    }

    /// Rows of logits that an item needs: one for each token to sample, or one for each prompt token; an embedding none.
    package func logitRows(of item: Item) -> Int {
        if item.sequence.embedding != nil { return 0 }
        return wantsPromptRows(item.sequence) ? item.count : (item.samples ? 1 + item.drafts.count : 0)
    }

    /// Lets sequences that decode guess, with what the others leave of the step and of the free blocks: a guess never
    /// delays a token that is known.
    private mutating func addDrafts(to items: inout [Item], budget: Int, rows: Int) {
        var left = min(budget, rows)
        var load = StepLoad(rows: limits.maxBatchedTokens - budget)
        for index in items.indices where left > 0 && items[index].count == 1 && items[index].samples {
            let sequence = items[index].sequence
            guard sequence.promptDone else { continue }
            // The last token of all needs no guess: it comes with the one in front of it.
            let room = sequence.maxTokens - sequence.outputCount - 1
            // Where the next block is not to be had, what is left of the last one.
            let slots = (sequence.blocks.count + pool.freeCount) * pool.blockSize - sequence.tokens.count
            let drafts = sequence.draft(limit: min(left, room, slots), load: &load)
            guard !drafts.isEmpty, reserve(sequence, through: sequence.tokens.count + drafts.count) else { continue }
            items[index].drafts = drafts
            left -= drafts.count
        }
    }

    private func wantsPromptRows(_ sequence: SequenceState) -> Bool {
        sequence.request.sampling.promptLogprobs != nil && !sequence.promptDone
    }

    private func add(_ item: Item, to items: inout [Item], budget: inout Int, rows: inout Int) {
        items.append(item)
        budget -= item.count
        rows -= logitRows(of: item)
    }

    private func chunk(of sequence: SequenceState, budget: Int, rows: Int) -> Int {
        let count = min(sequence.pending, budget)
        if sequence.embedding != nil { return count }
        if wantsPromptRows(sequence) { return min(count, rows) }
        return rows > 0 ? count : min(count, sequence.pending - 1)
    }

    /// Gives a waiting sequence its cached prefix and blocks for its first chunk, or leaves it as it was.
    private mutating func start(_ sequence: SequenceState, budget: Int, rows: Int) -> Bool {
        let root = pool.root(salt: sequence.request.cacheSalt)
        let reuses = sequence.reusesPrefix
        let prefix = reuses ? pool.freeBlocksInPrefix(of: sequence.tokens, root: root) : (hits: 0, free: 0)
        sequence.computed = prefix.hits * pool.blockSize
        let count = chunk(of: sequence, budget: budget, rows: rows)
        // Room for all its tokens, and for a block more of each that runs: else it would soon be put back.
        let blocks = blocksNeeded(sequence.tokens.count) - prefix.hits + prefix.free
        guard count > 0, running.isEmpty || blocks + running.count <= pool.freeCount else {
            sequence.computed = 0
            return false
        }
        if reuses { (sequence.blocks, sequence.contents) = pool.takePrefix(of: sequence.tokens, root: root) }
        if sequence.cachedPromptTokens == nil { sequence.cachedPromptTokens = sequence.computed }
        guard reserve(sequence, through: sequence.computed + count) else {
            releaseBlocks(of: sequence)
            return false
        }
        return true
    }

    private func blocksNeeded(_ tokens: Int) -> Int { (tokens + pool.blockSize - 1) / pool.blockSize }

    private mutating func reserve(_ sequence: SequenceState, through tokens: Int) -> Bool {
        let missing = blocksNeeded(tokens) - sequence.blocks.count
        guard missing > 0 else { return true }
        guard let blocks = pool.allocate(missing) else { return false }
        sequence.blocks += blocks
        return true
    }

    private mutating func preempt(_ sequence: SequenceState) {
        running.removeAll { $0 === sequence }
        sequence.isRunning = false
        releaseBlocks(of: sequence)
        if !sequence.promptDone { sequence.promptLogprobs = [] }
        sequence.embedding?.reset()
        preemptions += 1
        Self.insert(sequence, into: &waiting)
    }

    private mutating func releaseBlocks(of sequence: SequenceState) {
        pool.release(sequence.blocks)
        sequence.blocks = []
        sequence.contents = []
        sequence.computed = 0
    }

    private static func insert(_ sequence: SequenceState, into queue: inout [SequenceState]) {
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if queue[middle].precedes(sequence) { low = middle + 1 } else { high = middle }
        }
        queue.insert(sequence, at: low)
    }
}
