internal import MartinetEngine

/// The decisions of a pool, without its locks, threads and clocks: each event changes the state and leaves in
/// ``actions`` what is to be done outside.
struct PoolState {
    /// A member; one that comes back under the same id is another member.
    struct Member {
        let number: UInt64
        let id: String
        let engine: any SequenceEngine
        /// Whether somebody will say why it was lost.
        let isSupervised: Bool
        var isAvailable = true
        /// Whether its connection broke; the cause is awaited.
        var isDown = false
        var legs: Set<UInt64> = []
        var outstandingTokens = 0
    }

    /// A part of a request at a member.
    struct Leg {
        let request: UInt64
        let member: UInt64
        let samples: Range<Int>
        /// Tokens of what is computed before the first new one, until its prompt event.
        var promptTokens: Int
        var outstandingTokens: Int
        var ticket: SequenceTicket?
    }

    /// Suspected requests are tried one at a time, alone on a member.
    struct Quarantine {
        var request: UInt64
        var member: UInt64
    }

    /// What is to be done outside, in any order.
    struct Actions {
        var submissions: [(leg: UInt64, engine: any SequenceEngine, request: EngineRequest)] = []
        var cancellations: [(ticket: SequenceTicket, sample: Int?)] = []
        var deliveries: [UInt64] = []
        var timers: [(timer: PoolTimer, delay: Duration)] = []
    }

    let options: PoolOptions
    let limits: SequenceLimits
    let policy: any RoutingPolicy
    private let seeds: CounterRandom

    var members: [Member] = []
    var legs: [UInt64: Leg] = [:]
    var requests: [UInt64: PooledRequest] = [:]
    /// Requests that wait for a member, in order.
    var waiting: [UInt64] = []
    var quarantine: Quarantine?
    var accepts = true
    /// Whether everything is being aborted.
    var stops = false
    var isRetryArmed = false
    /// Why a new request was not taken.
    var refusals: [UInt64: EngineError] = [:]
    var actions = Actions()

    /// Samples that have not ended.
    var openSamples = 0
    var losses: [WorkerLoss: UInt64] = [:]
    var resumptions: [PoolSnapshot.Resumption: UInt64] = [:]
    var refusedRequests: UInt64 = 0
    var finished: [FinishReason: UInt64] = [:]
    /// What members that are gone had counted.
    var carried = EngineStatistics()
    /// The last sums given out: figures of members may come late, but no sum goes back.
    var reported = EngineStatistics()
    private var lastNumber: UInt64 = 0
    private var seedCount: UInt64 = 0

    init(limits: SequenceLimits, policy: any RoutingPolicy, options: PoolOptions) {
        self.limits = limits
        self.policy = policy
        self.options = options
        seeds = CounterRandom(seed: options.seed)
    }

    mutating func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    mutating func takeActions() -> Actions {
        defer { actions = Actions() }
        return actions
    }

    // MARK: Requests

    /// Takes a request.
    ///
    /// - Returns: its number; where it is refused after all, ``refusals`` says so when its submissions are done.
    mutating func add(_ request: EngineRequest, sink: any SequenceSink) throws(EngineError) -> UInt64 {
        guard accepts else {
            throw EngineError(.unavailable, "The server is shutting down and takes no new requests.")
        }
        // Above, a request that alone is larger than the queue is taken where nothing is open.
        let bound = limits.maxWaiting + options.maxSequencesPerMember * max(1, members.count)
        guard openSamples == 0 || openSamples + request.sampleCount <= bound else {
            throw EngineError(
                .queueFull, "The queue is full: \(openSamples) sequences run or wait already. Try again later.")
        }
        let number = nextNumber()
        var request = request
        // Wherever it goes on, it must be drawn with the same numbers.
        request.sampling.seed = request.sampling.seed ?? seeds.integer(seedCount, 0)
        seedCount += 1
        requests[number] = PooledRequest(
            number: number, request: request, sink: sink, maxModelLength: limits.maxModelLength,
            endTokens: options.endTokens)
        openSamples += request.sampleCount
        place(number)
        return number
    }

    /// The client reads no more of a request, or of one of its samples. Their end does not wait for the member's.
    mutating func cancel(_ number: UInt64, sample: Int?) {
        guard let request = requests[number] else { return }
        let base = request.request.sampleIndex
        for index in request.samples.indices where sample == nil || sample == base + index {
            guard !request.samples[index].isFinished else { continue }
            let leg = request.samples[index].leg
            requests[number]?.samples[index].isCancelled = true
            finish(number, index, .abort)
            guard let leg else { continue }
            if requests[number]?.samples.contains(where: { $0.leg == leg }) != true {
                abandon(leg, cancels: true)
                retryFirst()
            } else if let ticket = legs[leg]?.ticket {
                actions.cancellations.append((ticket, base + index))
            }
        }
    }

    mutating func finish(_ number: UInt64, _ index: Int, _ reason: FinishReason) {
        requests[number]?.finish(index, reason)
        openSamples -= 1
        finished[reason, default: 0] += 1
        settle(number)
    }

    /// Ends a request with an error.
    mutating func fail(_ number: UInt64, _ error: EngineError) {
        guard let request = requests[number], request.openCount > 0 else { return }
        for leg in Set(request.samples.compactMap(\.leg)) { abandon(leg, cancels: true) }
        openSamples -= request.openCount
        resumptions[.failed, default: 0] += UInt64(request.samples.count { $0.isResumed && !$0.isFinished })
        if request.isNew {
            refusals[number] = error
            requests[number] = nil
        } else {
            requests[number]?.failure = error
            for index in request.samples.indices { requests[number]?.samples[index].isFinished = true }
        }
        settle(number)
    }

    /// Sees to a request of which samples may have ended, and to those that its end makes room for.
    private mutating func settle(_ number: UInt64) {
        if requests[number]?.isDelivering == false { actions.deliveries.append(number) }
        guard requests[number]?.openCount ?? 0 == 0 else { return }
        waiting.removeAll { $0 == number }
        if quarantine?.request == number { endQuarantine() }
    }

    /// What a client is to get next of a request; `nil` where there is nothing or another thread is at it.
    ///
    /// - Parameter continues: whether the caller hands out this request's events already.
    mutating func takeDelivery(
        _ number: UInt64, continues: Bool
    ) -> (sink: any SequenceSink, events: [SequenceEvent], failure: EngineError?)? {
        guard let request = requests[number], continues || !request.isDelivering else { return nil }
        if request.outbox.isEmpty, request.failure == nil {
            requests[number]?.isDelivering = false
            if request.openCount == 0 { requests[number] = nil }
            return nil
        }
        requests[number]?.isDelivering = true
        requests[number]?.outbox = []
        requests[number]?.failure = nil
        return (request.sink, request.outbox, request.failure)
    }

    // MARK: Events of members

    /// A member's events for one of its legs. Those of a leg that was given up are dropped: its sequences go on
    /// elsewhere.
    mutating func receive(_ events: [SequenceEvent], from leg: UInt64) {
        guard let number = legs[leg]?.request, var request = requests.removeValue(forKey: number) else { return }
        let base = request.request.sampleIndex
        request.isNew = false
        var spent = 0
        var ended: [(index: Int, reason: FinishReason)] = []
        var isAborted = false
        for event in events {
            let index = event.sample - base
            guard request.samples.indices.contains(index), request.samples[index].leg == leg else { continue }
            switch event.event {
            case .prompt:
                spent += legs[leg]?.promptTokens ?? 0
                legs[leg]?.promptTokens = 0
                guard !request.samples[index].sawPrompt else { continue }
                request.samples[index].sawPrompt = true
                request.outbox.append(event)
            case .embedding:
                guard !request.samples[index].hasEmbedding else { continue }
                request.samples[index].hasEmbedding = true
                request.outbox.append(event)
            case .token(let token, _):
                spent += 1
                request.samples[index].emitted.append(token)
                request.outbox.append(event)
                request.samples[index].losses = 0
                request.wedges = 0
                request.tokensAlone += 1
            case .finished(.abort):
                // A member that aborts what nobody cancelled is on its way out.
                isAborted = true
            case .finished(let reason):
                // Nothing counts behind its end.
                request.samples[index].leg = nil
                ended.append((index, reason))
            }
        }
        let isCleared = quarantine?.request == number && request.tokensAlone >= options.quarantineTokens
        if isCleared {
            request.isSuspected = false
            request.crashes = min(request.crashes, options.maxCrashes - 1)
        }
        if !request.outbox.isEmpty, !request.isDelivering { actions.deliveries.append(number) }
        requests[number] = request
        spend(spent, of: leg)
        if isCleared { endQuarantine() }
        for (index, reason) in ended { finish(number, index, reason) }
        if isAborted {
            // All of it: where the first of several samples ends before its prompt, the others never start.
            interrupt(leg, by: EngineError(.unavailable, "The worker ended the sequence."))
        } else if !ended.isEmpty, requests[number]?.samples.contains(where: { $0.leg == leg }) != true {
            abandon(leg, cancels: false)
            retryFirst()
        }
    }

    /// A member's error for one of its legs.
    mutating func fail(leg: UInt64, _ error: EngineError) {
        guard let entry = legs[leg] else { return }
        requests[entry.request]?.isNew = false
        switch error.code {
        case .workerLost:
            guard let index = members.firstIndex(where: { $0.number == entry.member }), members[index].isSupervised
            else { return interrupt(leg, by: error) }
            // All that is open there is lost; the cause comes in a moment, from who watches the process.
            guard !members[index].isDown else { return }
            members[index].isDown = true
            actions.timers.append((.cause(member: entry.member), options.causeWait))
        case .unavailable, .queueFull: interrupt(leg, by: error)
        default: fail(entry.request, error)
        }
    }

    /// A sequence goes on elsewhere, though its member stays.
    private mutating func interrupt(_ leg: UInt64, by error: EngineError) {
        guard let entry = legs[leg] else { return }
        abandon(leg, cancels: true, isLoss: true)
        requests[entry.request]?.excluded.insert(entry.member)
        requests[entry.request]?.lastRefusal = error
        resume(entry.request)
    }
}

/// What a pool waits for by the clock.
enum PoolTimer: Sendable, Hashable {
    /// A member that is down: why is it?
    case cause(member: UInt64)
    /// A request's wait for a member, by number.
    case wait(request: UInt64, number: UInt64)
    /// Offering sequences again that all members refused.
    case retry
}
