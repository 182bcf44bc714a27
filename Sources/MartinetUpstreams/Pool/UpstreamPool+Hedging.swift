internal import MartinetFleet
internal import Synchronization
extension UpstreamPool {
    /// One event in the race of two attempts.
    private enum Event: Sendable {
        case ended(Result<Attempt.Opened, UpstreamError>)
        case slow
    }

    /// Asks a second member when the first one is slow, under the budget; the first answer counts.
    func hedged(
        _ search: Search, _ lease: Lease, delay: Duration, tried: inout [Member]
    ) async throws(UpstreamError) -> Attempt.Opened {
        let first = attempt(search, lease)
        let others = tried
        let (result, second) = await withTaskGroup(of: Event.self) { group in
            group.addTask { await Self.run(first) }
            group.addTask {
                try? await Task.sleep(for: delay)
                return .slow
            }
            var running = 1
            var second: Member?
            while let event = await group.next() {
                switch event {
                case .slow:
                    guard running == 1, !Task.isCancelled, let lease = self.hedge(search, besides: others) else {
                        continue
                    }
                    second = lease.member
                    running += 1
                    let attempt = self.attempt(search, lease)
                    group.addTask { await Self.run(attempt) }
                case .ended(let result):
                    running -= 1
                    if case .failure = result, running > 0 { continue }
                    group.cancelAll()
                    // The slower one may have answered in the same moment.
                    for await late in group {
                        if case .ended(.success(.stream(let open))) = late {
                            open.exchange.cancel()
                            open.lease.close()
                        }
                    }
                    return (result, second)
                }
            }
            return (.failure(UpstreamError.cancelled), second)
        }
        if let second { tried.append(second) }
        return try result.get()
    }

    private static func run(_ attempt: Attempt) async -> Event {
        do throws(UpstreamError) {
            return .ended(.success(try await attempt.run()))
        } catch {
            return .ended(.failure(error))
        }
    }

    /// A place at another member, if one is free and the budget allows it.
    private func hedge(_ search: Search, besides tried: [Member]) -> Lease? {
        let now = ContinuousClock.now
        guard case .lease(let lease) = choose(for: search, avoiding: tried) else { return nil }
        guard state.withLock({ $0.hedgeBudget.take(now: now) }) else {
            lease.close()
            return nil
        }
        lease.member.state.withLock { $0.hedges += 1 }
        search.record.update { $0.isHedged = true }
        return lease
    }
}
