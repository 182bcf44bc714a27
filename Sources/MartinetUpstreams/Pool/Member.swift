internal import AsyncHTTPClient
internal import MartinetFleet
internal import Synchronization

/// One server of a pool.
final class Member: Sendable {
    struct State {
        var breaker: CircuitBreaker
        var outstandingRequests = 0
        var outstandingTokens = 0
        var requests = 0
        var failures: [String: Int] = [:]
        var retries = 0
        var hedges = 0
        var continuations = 0
        var promptTokens = 0
        var completionTokens = 0
        /// No requests before then: it asked for a pause.
        var pausedUntil: ContinuousClock.Instant?
        /// When it last showed that it is alive, or did not.
        var lastOutcome: ContinuousClock.Instant
        var isProbing = false
        var lastProbe: MemberSnapshot.Probe?
        var templates: [String: HTTPClient.Request] = [:]
    }

    /// The name in logs, metrics and headers.
    let id: String
    let address: UpstreamAddress
    /// What the `Host` header says.
    let hostHeader: String
    let client: UpstreamClient
    let state: Mutex<State>

    init(id: String, address: UpstreamAddress, hostHeader: String, client: UpstreamClient, breaker: CircuitBreaker) {
        self.id = id
        self.address = address
        self.hostHeader = hostHeader
        self.client = client
        state = Mutex(State(breaker: breaker, lastOutcome: .now))
    }

    /// How many requests more it could take.
    enum Standing {
        case free(tokens: Int)
        case busy
        /// Out until then.
        case out(until: ContinuousClock.Instant?)
    }

    func standing(now: ContinuousClock.Instant) -> Standing {
        state.withLock { state in
            if let until = state.pausedUntil, until > now { return .out(until: until) }
            guard state.breaker.admits(now: now) else { return .out(until: state.breaker.opensUntil) }
            guard state.outstandingRequests < client.configuration.maxConcurrent else { return .busy }
            return .free(tokens: state.outstandingTokens)
        }
    }

    /// Takes a place for a request; `nil` where another one was faster.
    func admit(cost: Int, queue: WaitingQueue, now: ContinuousClock.Instant) -> Lease? {
        let admission = state.withLock { state -> CircuitBreaker.Admission? in
            guard state.outstandingRequests < client.configuration.maxConcurrent,
                let admission = state.breaker.admit(now: now)
            else { return nil }
            state.outstandingRequests += 1
            state.outstandingTokens += cost
            state.requests += 1
            return admission
        }
        return admission.map { Lease(self, admission: $0, cost: cost, queue: queue) }
    }

    /// A request to a path, without headers and body.
    func template(for path: String) throws(UpstreamError) -> HTTPClient.Request {
        if let known = state.withLock({ $0.templates[path] }) { return known }
        let template = try client.template(for: address, path: path)
        state.withLock { state in
            // Few paths exist; what a client makes up is not kept for ever.
            if state.templates.count < 32 { state.templates[path] = template }
        }
        return template
    }
}

/// A request's place at a member, given back once.
final class Lease: Sendable {
    private struct State {
        var admission: CircuitBreaker.Admission?
        var isClosed = false
    }

    let member: Member
    private let cost: Int
    private let queue: WaitingQueue
    private let state: Mutex<State>

    fileprivate init(_ member: Member, admission: CircuitBreaker.Admission, cost: Int, queue: WaitingQueue) {
        self.member = member
        self.cost = cost
        self.queue = queue
        state = Mutex(State(admission: admission))
    }

    deinit {
        record(.abandoned)
        close()
    }

    /// The member answered, or gave a stream's first token.
    func succeed() { record(.success) }

    /// The member failed, also after it had succeeded at first. Closes the lease.
    func fail(_ error: UpstreamError) {
        let now = ContinuousClock.now
        member.state.withLock { state in
            if error.code != .cancelled { state.failures[error.code.description, default: 0] += 1 }
            if error.code == .rateLimited {
                state.pausedUntil = now + .seconds(min(max(error.retryAfter ?? 1, 1), 60))
            }
        }
        if error.isMembersFault {
            record(.failure)
        } else {
            record(error.code == .refused ? .success : .abandoned)
        }
        close()
    }

    /// Gives the place back.
    func close(usage: UsageCounts? = nil) {
        let wasOpen = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard wasOpen else { return }
        record(.abandoned)
        member.state.withLock { state in
            state.outstandingRequests -= 1
            state.outstandingTokens -= cost
            state.promptTokens += usage?.promptTokens ?? 0
            state.completionTokens += usage?.completionTokens ?? 0
        }
        queue.wakeOne()
    }

    private func record(_ outcome: CircuitBreaker.Outcome) {
        let (admission, isClosed) = state.withLock { ($0.admission.take(), $0.isClosed) }
        guard admission != nil || (outcome == .failure && !isClosed) else { return }
        let now = ContinuousClock.now
        member.state.withLock { state in
            if let admission {
                state.breaker.record(outcome, of: admission, now: now)
            } else {
                state.breaker.fail(now: now)
            }
            if outcome != .abandoned { state.lastOutcome = now }
        }
    }
}
