internal import AsyncHTTPClient
internal import Synchronization
internal import MartinetFleet
internal import NIOCore

extension UpstreamPool {
    /// What looking for a place came to.
    enum Choice {
        case lease(Lease)
        /// Members could take it if they had fewer requests.
        case busy
        /// No member can be used before then, as far as one knows.
        case unavailable(until: ContinuousClock.Instant?)
    }

    /// Looks for a place among members that were not tried.
    func choose(for search: Search, avoiding tried: [Member]) -> Choice {
        let now = ContinuousClock.now
        var isBusy = false
        var until: ContinuousClock.Instant?
        var free: [Member] = []
        var candidates: [RoutingCandidate] = []
        for member in members {
            guard !tried.contains(where: { $0 === member }) else { continue }
            guard !search.isContinuation || member.client.configuration.allowsContinuation else { continue }
            switch member.standing(now: now) {
            case .free(let tokens):
                free.append(member)
                candidates.append(RoutingCandidate(id: member.id, outstandingTokens: tokens))
            case .busy: isBusy = true
            case .out(let moment):
                if let moment { until = min(until ?? moment, moment) }
            }
        }
        while !candidates.isEmpty {
            var index = policy.choose(among: candidates, for: search.request.key)
            if !candidates.indices.contains(index) { index = 0 }
            if let lease = free[index].admit(cost: search.request.cost, queue: queue, now: now) {
                return .lease(lease)
            }
            isBusy = true
            candidates.remove(at: index)
            free.remove(at: index)
        }
        return isBusy ? .busy : .unavailable(until: until)
    }

    /// Whether somebody else could take a request now.
    func hasFreeMember(for search: Search, besides tried: [Member]) -> Bool {
        let now = ContinuousClock.now
        return members.contains { member in
            guard !tried.contains(where: { $0 === member }),
                !search.isContinuation || member.client.configuration.allowsContinuation
            else { return false }
            if case .free = member.standing(now: now) { return true }
            return false
        }
    }

    /// A place at a member: one that was not tried, else any; where all are busy, after waiting for one.
    func lease(for search: Search, avoiding tried: [Member]) async throws(UpstreamError) -> Lease {
        let start = ContinuousClock.now
        let patience = min(start + configuration.queueTimeout, search.request.deadline ?? .now + .seconds(1_000_000))
        var hasWaited = false
        while true {
            if Task.isCancelled { throw .cancelled }
            if let deadline = search.request.deadline, deadline <= .now {
                throw .deadlineExceeded("while it waited for an upstream")
            }
            let generation = queue.generation
            var choice = choose(for: search, avoiding: tried)
            if case .unavailable = choice, !tried.isEmpty { choice = choose(for: search, avoiding: []) }
            switch choice {
            case .lease(let lease): return lease
            case .unavailable(let until): throw unavailable(until: until, search)
            case .busy: break
            }
            let end = await queue.wait(
                since: generation, isFirst: hasWaited, until: .now() + TimeAmount(patience - .now),
                on: clients[0].http.eventLoopGroup.any())
            switch end {
            case .woken: hasWaited = true
            case .full, .timedOut:
                if Task.isCancelled { throw .cancelled }
                if let deadline = search.request.deadline, deadline <= .now { continue }
                throw UpstreamError(
                    .busy, "All upstreams of the pool \(configuration.name) have as many requests as they may have.",
                    status: 503, retryAfter: 1)
            }
        }
    }

    private func unavailable(until: ContinuousClock.Instant?, _ search: Search) -> UpstreamError {
        let name = configuration.name
        if search.isContinuation, !clients.contains(where: { $0.configuration.allowsContinuation }) {
            return UpstreamError(.unavailable, "No upstream of the pool \(name) continues texts.", status: 502)
        }
        let seconds = until.map { max(1, min(3600, ($0 - .now).milliseconds / 1000 + 1)) }
        return UpstreamError(
            .unavailable, "No upstream of the pool \(name) can be used now.", status: 503, retryAfter: seconds ?? 5)
    }
}
