package import MartinetEngine

extension WireStatistics {
    /// Writes figures.
    package init(_ statistics: EngineStatistics) {
        running = Int64(statistics.running)
        waiting = Int64(statistics.waiting)
        totalBlocks = Int64(statistics.totalBlocks)
        usedBlocks = Int64(statistics.usedBlocks)
        cachedBlocks = Int64(statistics.cachedBlocks)
        steps = statistics.steps
        promptTokens = statistics.promptTokens
        cachedPromptTokens = statistics.cachedPromptTokens
        generatedTokens = statistics.generatedTokens
        drafts = statistics.drafts
        draftTokens = statistics.draftTokens
        acceptedDraftTokens = statistics.acceptedDraftTokens
        preemptions = statistics.preemptions
        finishedStop = statistics.finished[.stop] ?? 0
        finishedLength = statistics.finished[.length] ?? 0
        finishedAbort = statistics.finished[.abort] ?? 0
        lastBatchSequences = Int64(statistics.lastBatchSequences)
        lastBatchTokens = Int64(statistics.lastBatchTokens)
        secondsSinceProgress = statistics.secondsSinceProgress
        if let text = statistics.failure { failure = text }
    }
}

extension EngineStatistics {
    /// Reads figures; those that cannot be are brought to where adding them up is safe.
    package init(_ wire: WireStatistics) {
        func gauge(_ value: Int64) -> Int { Int(min(max(value, 0), 1 << 40)) }
        func counter(_ value: UInt64) -> UInt64 { min(value, 1 << 56) }
        self.init()
        running = gauge(wire.running)
        waiting = gauge(wire.waiting)
        totalBlocks = gauge(wire.totalBlocks)
        usedBlocks = gauge(wire.usedBlocks)
        cachedBlocks = gauge(wire.cachedBlocks)
        steps = counter(wire.steps)
        promptTokens = counter(wire.promptTokens)
        cachedPromptTokens = counter(wire.cachedPromptTokens)
        generatedTokens = counter(wire.generatedTokens)
        drafts = counter(wire.drafts)
        draftTokens = counter(wire.draftTokens)
        acceptedDraftTokens = counter(wire.acceptedDraftTokens)
        preemptions = counter(wire.preemptions)
        for (reason, count) in [
            (FinishReason.stop, wire.finishedStop), (.length, wire.finishedLength), (.abort, wire.finishedAbort),
        ] where count > 0 { finished[reason] = counter(count) }
        lastBatchSequences = gauge(wire.lastBatchSequences)
        lastBatchTokens = gauge(wire.lastBatchTokens)
        secondsSinceProgress = wire.secondsSinceProgress >= 0 ? min(wire.secondsSinceProgress, 1e9) : 0
        failure = wire.hasFailure ? wire.failure : nil
    }
}
