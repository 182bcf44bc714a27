internal import MartinetEngine

extension PoolState {
    /// Finds a member for what of a request runs nowhere, or makes it wait.
    mutating func place(_ number: UInt64) {
        guard let waiting = requests[number], !waiting.unplaced.isEmpty, !stops else { return }
        guard let index = chooseMember(for: waiting) else { return wait(number) }
        // The choice may have moved parts of it.
        guard let request = requests[number] else { return }
        for part in request.parts() {
            let leg = nextNumber()
            let cost = request.cost(of: part)
            legs[leg] = Leg(
                request: number, member: members[index].number, samples: part,
                promptTokens: request.request.prompt.count + request.samples[part.lowerBound].emitted.count,
                outstandingTokens: cost)
            members[index].legs.insert(leg)
            members[index].outstandingTokens += cost
            for sample in part { requests[number]?.samples[sample].leg = leg }
            actions.submissions.append((leg, members[index].engine, request.part(part)))
        }
    }

    private mutating func chooseMember(for request: PooledRequest) -> Int? {
        let open = members.indices.filter {
            members[$0].isAvailable && !members[$0].isDown && !request.excluded.contains(members[$0].number)
        }
        if request.isSuspected { return chooseQuarantine(for: request, among: open) }
        let candidates = open.filter { members[$0].number != quarantine?.member }
        guard !candidates.isEmpty else { return nil }
        let chosen = policy.choose(
            among: candidates.map {
                RoutingCandidate(id: members[$0].id, outstandingTokens: members[$0].outstandingTokens)
            },
            for: RoutingKey(
                tokens: request.request.prompt + (request.samples.first?.emitted ?? []),
                salt: request.request.cacheSalt, session: request.request.session))
        return candidates.indices.contains(chosen) ? candidates[chosen] : candidates.first
    }

    /// The member on which a suspected request is tried alone: one at a time, so that others keep theirs.
    private mutating func chooseQuarantine(for request: PooledRequest, among open: [Int]) -> Int? {
        if let quarantine {
            return quarantine.request == request.number ? open.first { members[$0].number == quarantine.member } : nil
        }
        guard let index = open.min(by: { members[$0].outstandingTokens < members[$1].outstandingTokens }) else {
            return nil
        }
        quarantine = Quarantine(request: request.number, member: members[index].number)
        requests[request.number]?.tokensAlone = 0
        // What runs there goes on elsewhere, or waits for a moment.
        for number in vacate(index) { resume(number) }
        return index
    }

    mutating func endQuarantine() {
        quarantine = nil
        retryAll()
    }

    private mutating func wait(_ number: UInt64) {
        guard var request = requests[number] else { return }
        if request.isNew, let refusal = request.lastRefusal, refusal.code == .queueFull { return fail(number, refusal) }
        request.isNew = false
        request.excluded = []
        if request.wait == nil {
            let wait = nextNumber()
            request.wait = wait
            let left = request.request.deadline.map { $0 - .now } ?? options.waitingLimit
            actions.timers.append((.wait(request: number, number: wait), max(.zero, min(left, options.waitingLimit))))
        }
        requests[number] = request
        if !waiting.contains(number) { waiting.append(number) }
        if quarantine?.request == number { quarantine = nil }
        // Where there is none, one will come.
        if !isRetryArmed, members.contains(where: { $0.isAvailable && !$0.isDown }) {
            isRetryArmed = true
            actions.timers.append((.retry, options.retryDelay))
        }
    }

    /// Offers all that waits to the members again, suspected requests first.
    mutating func retryAll() {
        let numbers = waiting
        waiting = []
        for number in numbers where requests[number]?.isSuspected == true { place(number) }
        for number in numbers where requests[number]?.isSuspected == false { place(number) }
    }

    /// Something ended: offers its room to what waits longest.
    mutating func retryFirst() {
        guard !waiting.isEmpty else { return }
        place(waiting.removeFirst())
    }

    /// A member took a leg.
    mutating func accepted(_ leg: UInt64, _ ticket: SequenceTicket) {
        guard let entry = legs[leg], let request = requests[entry.request] else {
            // It was given up meanwhile.
            return actions.cancellations.append((ticket, nil))
        }
        legs[leg]?.ticket = ticket
        requests[entry.request]?.isNew = false
        requests[entry.request]?.excluded = []
        requests[entry.request]?.wait = nil
        for index in entry.samples {
            if request.samples[index].isResumed {
                requests[entry.request]?.samples[index].isResumed = false
                resumptions[.resumed, default: 0] += 1
            }
            if request.samples[index].isCancelled {
                actions.cancellations.append((ticket, request.request.sampleIndex + index))
            }
        }
    }

    /// A member did not take a leg.
    mutating func refused(_ leg: UInt64, _ error: EngineError) {
        guard let entry = legs[leg] else { return }
        guard [.queueFull, .unavailable, .workerLost].contains(error.code) else { return fail(entry.request, error) }
        abandon(leg, cancels: false)
        requests[entry.request]?.excluded.insert(entry.member)
        requests[entry.request]?.lastRefusal = error
        place(entry.request)
    }

    /// A request has waited as long as it may.
    mutating func expire(_ number: UInt64, wait: UInt64) {
        guard let request = requests[number], request.wait == wait else { return }
        if let deadline = request.request.deadline, deadline <= .now { return fail(number, .deadlinePassed) }
        let reason = request.lastRefusal.map { "the last refusal was: \($0.message)" } ?? "none was available"
        fail(
            number,
            EngineError(
                .unavailable,
                "No worker took the request within \(options.waitingLimit.components.seconds) seconds; \(reason)"))
    }

    // MARK: Legs

    /// Takes a leg's samples from their member; events that still come are dropped.
    mutating func abandon(_ leg: UInt64, cancels: Bool, isLoss: Bool = false) {
        guard let entry = legs[leg] else { return }
        spend(entry.outstandingTokens, of: leg)
        legs[leg] = nil
        if cancels, let ticket = entry.ticket { actions.cancellations.append((ticket, nil)) }
        if let index = members.firstIndex(where: { $0.number == entry.member }) { members[index].legs.remove(leg) }
        for index in entry.samples where requests[entry.request]?.samples[index].leg == leg {
            requests[entry.request]?.samples[index].leg = nil
            if isLoss { requests[entry.request]?.samples[index].losses += 1 }
        }
    }

    mutating func spend(_ tokens: Int, of leg: UInt64) {
        guard let entry = legs[leg] else { return }
        let tokens = min(tokens, entry.outstandingTokens)
        legs[leg]?.outstandingTokens -= tokens
        if let index = members.firstIndex(where: { $0.number == entry.member }) {
            members[index].outstandingTokens -= tokens
        }
    }

    /// Takes all from a member.
    ///
    /// - Returns: the requests that ran there.
    mutating func vacate(_ index: Int, isLoss: Bool = false) -> [UInt64] {
        let numbers = Set(members[index].legs.compactMap { legs[$0]?.request }).sorted()
        for leg in members[index].legs.sorted() { abandon(leg, cancels: true, isLoss: isLoss) }
        return numbers
    }
}
