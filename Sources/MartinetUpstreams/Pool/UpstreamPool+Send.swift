internal import Synchronization
internal import Logging
internal import MartinetAPI
internal import MartinetFleet
internal import NIOCore

extension UpstreamPool {
    /// Sends a request to the member that the policy chooses, and to others until one gives a first token.
    ///
    /// - Returns: the answer; its events may be read for as long as the stream goes.
    /// - Throws: what the client is to be told.
    package func send(_ request: UpstreamRequest) async throws(UpstreamError) -> UpstreamResponse {
        let record = UpstreamRecord()
        state.withLock { state in
            let now = ContinuousClock.now
            state.retryBudget.recordRequest(now: now)
            if request.isInteractive { state.hedgeBudget.recordRequest(now: now) }
        }
        var filter: StreamFilter?
        if request.body.isStream {
            let rules = StreamFilter.Rules(
                request.body, maxEventBytes: configuration.maxEventBytes, isContinuable: canContinue)
            filter = StreamFilter(rules, body: request.body, upstream: "")
        }
        let search = Search(request: request, edits: [], filter: filter, record: record, isContinuation: false)
        let opened = try await open(search, avoiding: [])
        var headers = [(name: "content-type", value: "application/json")]
        switch opened {
        case .whole(let lease, let body, let usage):
            record.update { figures in
                figures.members = [lease.member.id]
                figures.promptTokens = usage?.promptTokens
                figures.completionTokens = usage?.completionTokens ?? 0
                figures.isComplete = true
            }
            headers.append((name: UpstreamResponse.upstreamHeader, value: lease.member.id))
            return UpstreamResponse(headers: headers, body: .bytes(body), record: record)
        case .stream(let open):
            record.update { $0.members = [open.lease.member.id] }
            headers = [
                (name: "content-type", value: "text/event-stream; charset=utf-8"),
                (name: "cache-control", value: "no-cache"),
                (name: UpstreamResponse.upstreamHeader, value: open.lease.member.id),
            ]
            let stream = UpstreamStream(open, pool: self, request: request, record: record)
            return UpstreamResponse(headers: headers, body: .events(UpstreamEvents(stream: stream)), record: record)
        }
    }

    private var canContinue: Bool {
        configuration.maxContinuations > 0 && clients.contains { $0.configuration.allowsContinuation }
    }

    /// Opens the rest of a broken stream, at another member if there is one.
    func resume(
        _ request: UpstreamRequest, edits: [UpstreamRequestBody.Edit], filter: StreamFilter, from broken: Member,
        record: UpstreamRecord
    ) async throws(UpstreamError) -> Attempt.OpenStream {
        guard record.figures.continuations < configuration.maxContinuations else {
            throw UpstreamError(
                .unavailable, "It broke more than \(configuration.maxContinuations) times.", status: 502)
        }
        record.update { $0.continuations += 1 }
        let search = Search(request: request, edits: edits, filter: filter, record: record, isContinuation: true)
        guard case .stream(let open) = try await open(search, avoiding: [broken]) else { throw .cancelled }
        open.lease.member.state.withLock { $0.continuations += 1 }
        record.update { $0.members.append(open.lease.member.id) }
        logger.info(
            "A broken stream goes on elsewhere",
            metadata: [
                "pool": "\(configuration.name)", "from": "\(broken.id)", "to": "\(open.lease.member.id)",
            ])
        return open
    }

    /// What is being looked for: somebody who takes a request.
    struct Search: Sendable {
        var request: UpstreamRequest
        var edits: [UpstreamRequestBody.Edit]
        var filter: StreamFilter?
        var record: UpstreamRecord
        var isContinuation: Bool
    }

    /// Tries members until one answers.
    private func open(_ search: Search, avoiding avoided: [Member]) async throws(UpstreamError) -> Attempt.Opened {
        var tried = avoided
        var attempts = 0
        while true {
            let lease = try await lease(for: search, avoiding: tried)
            if attempts > 0 { lease.member.state.withLock { $0.retries += 1 } }
            attempts += 1
            do {
                return try await run(search, lease, tried: &tried)
            } catch {
                log(error, at: lease.member)
                guard error.isRetryable, attempts < configuration.maxAttempts else { throw error }
                try await pause(after: error, attempts: attempts, search, tried: tried)
                search.record.update { $0.retries += 1 }
            }
        }
    }

    private func log(_ error: UpstreamError, at member: Member) {
        guard error.code != .cancelled, error.code != .refused else { return }
        logger.log(
            level: error.code == .credentials ? .error : .warning, "An upstream failed",
            metadata: [
                "pool": "\(configuration.name)", "upstream": "\(member.id)", "code": "\(error.code)",
                "reason": "\(error.message)",
            ])
    }

    /// Waits before the next attempt, or throws where there must be none.
    private func pause(
        after error: UpstreamError, attempts: Int, _ search: Search, tried: [Member]
    ) async throws(UpstreamError) {
        let now = ContinuousClock.now
        let backoff = configuration.backoff
        let delay = state.withLock { state -> Duration? in
            guard state.retryBudget.take(now: now) else { return nil }
            return backoff.delay(attempt: attempts - 1, using: &state.generator)
        }
        guard var delay else { throw error }
        if let retryAfter = error.retryAfter, !hasFreeMember(for: search, besides: tried) {
            guard .seconds(retryAfter) <= configuration.maxRetryAfter else { throw error }
            delay = max(delay, .seconds(retryAfter))
        }
        if let deadline = search.request.deadline, now + delay >= deadline { throw error }
        do {
            try await Task.sleep(for: delay)
        } catch {
            throw .cancelled
        }
    }

    /// One attempt, or two where hedging says so.
    private func run(
        _ search: Search, _ lease: Lease, tried: inout [Member]
    ) async throws(UpstreamError) -> Attempt.Opened {
        tried.append(lease.member)
        let request = search.request
        let delay = configuration.hedging.delay(isInteractive: request.isInteractive, members: members.count)
        guard let delay, !search.isContinuation else { return try await attempt(search, lease).run() }
        return try await hedged(search, lease, delay: delay, tried: &tried)
    }

    func attempt(_ search: Search, _ lease: Lease) -> Attempt {
        let body = search.request.body
        let configuration = lease.member.client.configuration
        let edits = body.edits(
            model: body.model.flatMap { configuration.models[$0] },
            usage: search.filter == nil || body.kind == .other ? nil : Self.usageWish(configuration, body))
        return Attempt(
            lease: lease, body: body, bytes: body.applying(search.edits + edits), headers: search.request.headers,
            deadline: search.request.deadline, filter: search.filter)
    }

    /// A stream that another member may continue is counted on the way: a chunk may hold several tokens.
    private static func usageWish(
        _ configuration: UpstreamConfiguration, _ body: UpstreamRequestBody
    ) -> UpstreamRequestBody.UsageWish? {
        guard configuration.asksForUsage else { return nil }
        if configuration.allowsContinuation { return body.wantsUsage && body.wantsRunningUsage ? nil : .running }
        return body.wantsUsage ? nil : .final
    }
}
