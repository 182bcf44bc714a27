internal import MartinetEngine

extension PoolState {
    /// A member comes.
    mutating func addMember(_ engine: any SequenceEngine, id: String, isSupervised: Bool) {
        members.append(Member(number: nextNumber(), id: id, engine: engine, isSupervised: isSupervised))
        retryAll()
    }

    /// A member gets new sequences, or none.
    mutating func setAvailable(_ isAvailable: Bool, id: String) {
        guard let index = members.firstIndex(where: { $0.id == id }) else { return }
        members[index].isAvailable = isAvailable
        if isAvailable { retryAll() }
    }

    /// A member leaves as planned: what runs there goes on elsewhere.
    mutating func removeMember(id: String, statistics: EngineStatistics) {
        for number in take(id, statistics, isLoss: false) { resume(number) }
        retryAll()
    }

    /// A member was lost.
    mutating func loseMember(id: String, cause: WorkerLoss, statistics: EngineStatistics) {
        guard members.contains(where: { $0.id == id }) else { return }
        losses[cause, default: 0] += 1
        let numbers = take(id, statistics, isLoss: true)
        for number in numbers { blame(number, cause, isAlone: numbers.count == 1) }
        for number in numbers { resume(number) }
        retryAll()
    }

    private mutating func take(_ id: String, _ statistics: EngineStatistics, isLoss: Bool) -> [UInt64] {
        guard let index = members.firstIndex(where: { $0.id == id }) else { return [] }
        carried.addCounters(of: statistics)
        policy.forget(id)
        let numbers = vacate(index, isLoss: isLoss)
        let member = members.remove(at: index)
        if quarantine?.member == member.number { quarantine = nil }
        return numbers
    }

    /// Notes that a request was open when a member was lost, and refuses it where it must be the cause.
    private mutating func blame(_ number: UInt64, _ cause: WorkerLoss, isAlone: Bool) {
        guard var request = requests[number] else { return }
        if cause.blamesRequests { request.crashes += 1 }
        if cause == .wedged { request.wedges += 1 }
        let isSuspected = request.crashes >= options.maxCrashes || request.wedges >= options.maxWedges
        let isGuilty = isSuspected && isAlone && (cause.blamesRequests || cause == .wedged)
        request.isSuspected = isSuspected
        requests[number] = request
        guard isGuilty else { return }
        refusedRequests += 1
        fail(
            number,
            EngineError(
                .requestCrashedWorker,
                "Workers that ran this request failed again and again (\(cause.rawValue)), the last time it alone; "
                    + "it is not tried once more. Change the request, and report the failure."))
    }

    /// A request that lost a member goes on: what it misses is only an end, or it finds another member.
    mutating func resume(_ number: UInt64) {
        requests[number]?.isNew = false
        guard let request = requests[number] else { return }
        for index in request.unplaced {
            if let reason = request.finishReason(of: index) {
                resumptions[.completed, default: 0] += 1
                finish(number, index, reason)
            } else {
                requests[number]?.samples[index].isResumed = true
            }
        }
        let losses = request.unplaced.map { request.samples[$0].losses }.max() ?? 0
        guard losses <= options.maxAttempts else {
            let reason = request.lastRefusal.map { " The last error was: \($0.message)" } ?? ""
            return fail(
                number,
                EngineError(
                    .unavailable,
                    "The request lost its worker \(losses) times without a token in between and was given up."
                        + reason))
        }
        place(number)
    }

    /// Aborts all.
    mutating func abortAll() {
        accepts = false
        stops = true
        for number in requests.keys.sorted() {
            guard let request = requests[number] else { continue }
            for leg in Set(request.samples.compactMap(\.leg)) { abandon(leg, cancels: true) }
            for index in request.samples.indices where !request.samples[index].isFinished {
                finish(number, index, .abort)
            }
        }
    }

    /// Samples that wait for a member.
    var waitingSamples: Int { waiting.reduce(0) { $0 + (requests[$1]?.unplaced.count ?? 0) } }

    /// Figures of this moment.
    var snapshot: PoolSnapshot {
        var snapshot = PoolSnapshot()
        snapshot.members = members.map { member in
            .init(
                id: member.id, isAvailable: member.isAvailable && !member.isDown,
                outstandingSequences: member.legs.reduce(0) { sum, leg in
                    guard let entry = legs[leg], let request = requests[entry.request] else { return sum }
                    return sum + entry.samples.count { request.samples[$0].leg == leg }
                },
                outstandingTokens: member.outstandingTokens)
        }
        snapshot.waiting = waitingSamples
        snapshot.open = openSamples
        snapshot.resumptions = resumptions
        snapshot.losses = losses
        snapshot.refusedRequests = refusedRequests
        snapshot.hasQuarantine = quarantine != nil
        return snapshot
    }
}

extension EngineStatistics {
    /// Adds another engine's counters, but not what it ended: a sequence may end at one engine and go on at another.
    mutating func addCounters(of other: EngineStatistics) {
        steps &+= other.steps
        promptTokens &+= other.promptTokens
        cachedPromptTokens &+= other.cachedPromptTokens
        generatedTokens &+= other.generatedTokens
        drafts &+= other.drafts
        draftTokens &+= other.draftTokens
        acceptedDraftTokens &+= other.acceptedDraftTokens
        preemptions &+= other.preemptions
    }

    /// Adds another engine's momentary figures.
    mutating func addGauges(of other: EngineStatistics) {
        running += other.running
        waiting += other.waiting
        totalBlocks += other.totalBlocks
        usedBlocks += other.usedBlocks
        cachedBlocks += other.cachedBlocks
        lastBatchSequences += other.lastBatchSequences
        lastBatchTokens += other.lastBatchTokens
    }

    /// Lifts each counter to at least what it was.
    mutating func keepCounters(of earlier: EngineStatistics) {
        steps = max(steps, earlier.steps)
        promptTokens = max(promptTokens, earlier.promptTokens)
        cachedPromptTokens = max(cachedPromptTokens, earlier.cachedPromptTokens)
        generatedTokens = max(generatedTokens, earlier.generatedTokens)
        drafts = max(drafts, earlier.drafts)
        draftTokens = max(draftTokens, earlier.draftTokens)
        acceptedDraftTokens = max(acceptedDraftTokens, earlier.acceptedDraftTokens)
        preemptions = max(preemptions, earlier.preemptions)
    }
}
