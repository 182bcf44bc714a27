package import MartinetEngine
internal import Synchronization

/// A set of interchangeable engines that looks like one, and outlives any of them.
///
/// A request goes to the member that the policy chooses. When that one is lost or leaves, the request goes on at
/// another, or at the same when it is back, behind the tokens that its client has got: with the same seed, so that they
/// are the tokens that would have come. The client sees a pause.
package final class WorkerPool: SequenceEngine {
    private let state: Mutex<PoolState>
    /// The members' common bounds.
    package let limits: SequenceLimits

    /// Makes a pool without members; requests wait for the first.
    package init(limits: SequenceLimits, policy: any RoutingPolicy, options: PoolOptions = PoolOptions()) {
        self.limits = limits
        state = Mutex(PoolState(limits: limits, policy: policy, options: options))
    }

    // MARK: Members

    /// Puts a member into the pool. One that is there under the same id leaves.
    ///
    /// - Parameter isSupervised: whether ``memberLost(id:cause:)`` will be called when it is lost. What it ran then
    ///   waits for that, for the cause says whether a request may be to blame. Else each of its sequences that fails
    ///   with `worker_lost` goes on elsewhere on its own, and the member stays; the pool shuts it down at its end.
    package func add(member engine: any SequenceEngine, id: String, isSupervised: Bool = false) {
        remove(id: id)
        apply { $0.addMember(engine, id: id, isSupervised: isSupervised) }
    }

    /// Takes a member out; its sequences go on elsewhere, or wait. It is not shut down.
    package func remove(id: String) {
        guard let statistics = statistics(of: id) else { return }
        apply { $0.removeMember(id: id, statistics: statistics) }
    }

    /// A member was lost; its sequences go on elsewhere, or wait.
    package func memberLost(id: String, cause: WorkerLoss) {
        guard let statistics = statistics(of: id) else { return }
        apply { $0.loseMember(id: id, cause: cause, statistics: statistics) }
    }

    /// Says whether a member gets new sequences; those that it has stay.
    package func setAvailable(_ isAvailable: Bool, id: String) {
        apply { $0.setAvailable(isAvailable, id: id) }
    }

    private func statistics(of id: String) -> EngineStatistics? {
        state.withLock { $0.members.first { $0.id == id }?.engine }?.statistics()
    }

    // MARK: Requests

    /// Takes a request; its events go to `sink`.
    ///
    /// - Throws: ``EngineError`` where the request is invalid, the queue is full, or the pool shuts down.
    package func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        try request.validate(limits)
        let (added, actions) = state.withLock { state in
            let added: Result<UInt64, EngineError>
            do throws(EngineError) {
                added = .success(try state.add(request, sink: sink))
            } catch {
                added = .failure(error)
            }
            return (added, state.takeActions())
        }
        perform(actions)
        let number = try added.get()
        if let refusal = state.withLock({ $0.refusals.removeValue(forKey: number) }) { throw refusal }
        return SequenceTicket { [weak self] sample in self?.apply { $0.cancel(number, sample: sample) } }
    }

    /// The sums over the members; counters go on where members went. What ended is counted as the clients saw it.
    package func statistics() -> EngineStatistics {
        let (engines, carried) = state.withLock { state in
            var carried = state.carried
            carried.waiting = state.waitingSamples
            carried.finished = state.finished
            return (state.members.map(\.engine), carried)
        }
        var sum = carried
        let members = engines.map { $0.statistics() }
        for member in members {
            sum.addCounters(of: member)
            sum.addGauges(of: member)
        }
        // Others go on where one stands still.
        sum.secondsSinceProgress = members.map(\.secondsSinceProgress).min() ?? 0
        let failures = members.compactMap(\.failure)
        if failures.count == members.count { sum.failure = failures.first }
        return state.withLock { state in
            sum.keepCounters(of: state.reported)
            state.reported = sum
            return sum
        }
    }

    /// Figures of the pool itself.
    package func snapshot() -> PoolSnapshot { state.withLock(\.snapshot) }

    /// Takes no more requests, lets those here end until the deadline, aborts the rest, and shuts the members down.
    /// Supervised members are left to who supervises them; until then they are still started again, for what runs.
    package func shutdown(deadline: Duration) async {
        state.withLock { $0.accepts = false }
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end, state.withLock({ $0.openSamples > 0 }) {
            try? await Task.sleep(for: .milliseconds(10))
            if Task.isCancelled { break }
        }
        apply { $0.abortAll() }
        let engines = state.withLock { $0.members.filter { !$0.isSupervised }.map(\.engine) }
        await withTaskGroup(of: Void.self) { group in
            for engine in engines { group.addTask { await engine.shutdown(deadline: max(.zero, end - .now)) } }
        }
    }

    /// Aborts everything and stops the members that nobody supervises, without waiting for it.
    package func stop() {
        apply { $0.abortAll() }
        for engine in state.withLock({ $0.members.filter { !$0.isSupervised }.map(\.engine) }) { engine.stop() }
    }

    // MARK: Doing what the state says

    /// Where a member's events for a leg go.
    private final class LegSink: SequenceSink {
        private weak let pool: WorkerPool?
        private let leg: UInt64

        init(pool: WorkerPool, leg: UInt64) {
            self.pool = pool
            self.leg = leg
        }

        func publish(_ events: [SequenceEvent]) { pool?.apply { $0.receive(events, from: leg) } }
        func fail(_ error: EngineError) { pool?.apply { $0.fail(leg: leg, error) } }
    }

    private func apply(_ event: (inout PoolState) -> Void) {
        perform(
            state.withLock { state in
                event(&state)
                return state.takeActions()
            })
    }

    private func perform(_ actions: PoolState.Actions) {
        for number in actions.deliveries { deliver(number) }
        for (ticket, sample) in actions.cancellations {
            if let sample { ticket.cancel(sample: sample) } else { ticket.cancel() }
        }
        for (timer, delay) in actions.timers {
            Task { [weak self] in
                try? await Task.sleep(for: delay)
                self?.fire(timer)
            }
        }
        for (leg, engine, request) in actions.submissions {
            do throws(EngineError) {
                let ticket = try engine.submit(request, to: LegSink(pool: self, leg: leg))
                apply { $0.accepted(leg, ticket) }
            } catch {
                apply { $0.refused(leg, error) }
            }
        }
    }

    /// Hands a request's client what there is, one thread at a time and without the lock.
    private func deliver(_ number: UInt64) {
        var continues = false
        while let delivery = state.withLock({ $0.takeDelivery(number, continues: continues) }) {
            continues = true
            if !delivery.events.isEmpty { delivery.sink.publish(delivery.events) }
            if let failure = delivery.failure { delivery.sink.fail(failure) }
        }
    }

    private func fire(_ timer: PoolTimer) {
        switch timer {
        case .cause(let member):
            let id = state.withLock { state in state.members.first { $0.number == member }?.id }
            if let id { memberLost(id: id, cause: .disconnected) }
        case .wait(let request, let number): apply { $0.expire(request, wait: number) }
        case .retry:
            apply { state in
                state.isRetryArmed = false
                state.retryAll()
            }
        }
    }
}
