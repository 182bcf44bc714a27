internal import Logging
internal import MartinetEngine
internal import MartinetFleet
internal import MartinetModels
internal import MartinetWorkerProtocol
internal import Synchronization

/// A model whose workers run already, on this machine or others.
final class RemoteModel: FleetModel {
    private struct State {
        var workers: [WorkerEndpoint.Found: ModelWorkers.Worker] = [:]
        var problems: [WorkerEndpoint: String] = [:]
        var task: Task<Void, Never>?
    }

    /// How often names are looked up and files are read.
    private static let refreshInterval = Duration.seconds(5)

    let specification: ModelSpecification
    let pool: WorkerPool
    let engine: InferenceEngine
    private let endpoints: [WorkerEndpoint]
    private let tls: WorkerClientTLS?
    private let sequencesPerWorker: Int
    private let logger: Logger
    private let state = Mutex(State())

    /// Connects to the first worker that answers, to learn what it serves; ``run()`` connects to all.
    ///
    /// - Throws: where none answers.
    init(
        _ specification: ModelSpecification, endpoints: [WorkerEndpoint], tls: WorkerClientTLS?, logger: Logger
    ) async throws {
        self.specification = specification
        self.endpoints = endpoints
        self.tls = tls
        self.logger = logger
        let first = try await Self.first(of: endpoints, tls: tls, logger: logger)
        let text = try await first.textModel()
        var options = specification.pool
        options.endTokens = text.endTokens
        options.maxSequencesPerMember = max(1, first.description.maxSequences)
        sequencesPerWorker = options.maxSequencesPerMember
        pool = WorkerPool(limits: first.limits, policy: specification.policy.makePolicy(), options: options)
        engine = InferenceEngine(model: text, engine: pool)
        await first.shutdown(deadline: .zero)
    }

    private static func first(
        of endpoints: [WorkerEndpoint], tls: WorkerClientTLS?, logger: Logger
    ) async throws -> WorkerClient {
        var failure: any Error = EngineError(.unavailable, "A model needs the address of a worker.")
        var attempt = 0
        // A fleet often starts together with its workers.
        let end = ContinuousClock.now + .seconds(30)
        repeat {
            for endpoint in endpoints {
                do {
                    for worker in try await endpoint.workers() {
                        do {
                            return try await connect(to: worker, tls: tls, timeout: .seconds(3))
                        } catch {
                            failure = error
                        }
                    }
                } catch {
                    failure = EngineError(.unavailable, "\(endpoint): \(error)")
                }
                if attempt % 10 == 0 { logger.warning("no worker answers", metadata: ["error": "\(failure)"]) }
            }
            attempt += 1
            try await Task.sleep(for: .seconds(1))
        } while .now < end
        throw failure
    }

    private static func connect(
        to worker: WorkerEndpoint.Found, tls: WorkerClientTLS?, timeout: Duration = .seconds(10),
        onLost: @escaping @Sendable (EngineError) -> Void = { _ in }
    ) async throws -> WorkerClient {
        var tls = tls
        if tls?.serverName == nil { tls?.serverName = worker.serverName }
        return try await WorkerClient.connect(to: worker.address, tls: tls, timeout: timeout, onLost: onLost)
    }

    var capacity: Int { sequencesPerWorker * max(1, state.withLock(\.workers.count)) }

    var workers: [ModelWorkers.Worker] { state.withLock { $0.workers.values.sorted { $0.id < $1.id } } }

    func run() async throws(EngineError) {
        let task = Task { await followEndpoints() }
        state.withLock { $0.task = task }
        await task.value
    }

    /// Keeps the workers of all endpoints, those that come and those that go.
    private func followEndpoints() async {
        var kept: [WorkerEndpoint.Found: Task<Void, Never>] = [:]
        while !Task.isCancelled {
            var wanted: Set<WorkerEndpoint.Found> = []
            var isWhole = true
            for endpoint in endpoints {
                do {
                    wanted.formUnion(try await endpoint.workers())
                    report(nil, of: endpoint)
                } catch {
                    isWhole = false
                    report("\(error)", of: endpoint)
                }
            }
            for worker in wanted where kept[worker] == nil { kept[worker] = Task { await self.keep(worker) } }
            // Where one endpoint cannot be read, nobody knows who is gone.
            for worker in kept.keys where isWhole && !wanted.contains(worker) {
                kept.removeValue(forKey: worker)?.cancel()
            }
            try? await Task.sleep(for: endpoints.allSatisfy(\.isFixed) ? .seconds(86_400) : Self.refreshInterval)
        }
        for task in kept.values { task.cancel() }
        for task in kept.values { await task.value }
    }

    /// Remembers what is wrong with an endpoint, and logs it when it changes.
    private func report(_ problem: String?, of endpoint: WorkerEndpoint) {
        let isNew = state.withLock { state in
            defer { state.problems[endpoint] = problem }
            return state.problems[endpoint] != problem
        }
        guard isNew, let problem else { return }
        logger.warning(
            "workers cannot be found; the last ones stay",
            metadata: ["endpoint": "\(endpoint)", "reason": "\(problem)"])
    }

    func end(deadline: Duration) async {
        let task = state.withLock(\.task)
        task?.cancel()
        await task?.value
    }

    func replaceWorkers() async throws(EngineError) {
        throw EngineError(
            .invalidParameter,
            "The workers of \(specification.name) were not started here: replace them where they run, one by one.")
    }

    /// Connects to a worker, and again whenever the connection is lost, until the task is cancelled.
    private func keep(_ worker: WorkerEndpoint.Found) async {
        let id = "\(worker.address)"
        state.withLock { $0.workers[worker] = .init(id: id, processID: nil, state: "starting", restarts: 0) }
        defer { state.withLock { _ = $0.workers.removeValue(forKey: worker) } }
        let backoff = Backoff(base: .milliseconds(100), maximum: .seconds(5))
        var generator = JitterGenerator(seed: .random(in: .min ... .max))
        var attempt = 0
        while !Task.isCancelled {
            let lost = OneShot<Void>()
            do {
                let client = try await Self.connect(to: worker, tls: tls) { _ in lost.set(()) }
                guard client.limits == pool.limits else {
                    await client.shutdown(deadline: .zero)
                    throw EngineError(.unavailable, "It serves other bounds or another model than its siblings.")
                }
                attempt = 0
                change(worker) { $0.state = "ready" }
                logger.notice("worker", metadata: ["worker": "\(id)", "event": "connected"])
                pool.add(member: LentEngine(engine: client), id: id, isSupervised: true)
                let loss = await watch(client, id, lost)
                // One that is not wanted any more leaves as planned.
                if let loss { pool.memberLost(id: id, cause: loss) } else { pool.remove(id: id) }
                await client.shutdown(deadline: .zero)
                guard let loss else { return }
                change(worker) { worker in
                    worker.state = "restarting"
                    worker.restarts += 1
                }
                logger.warning("worker", metadata: ["worker": "\(id)", "event": "lost: \(loss.rawValue)"])
            } catch {
                logger.log(
                    level: attempt == 0 ? .warning : .debug, "worker",
                    metadata: ["worker": "\(id)", "event": "unreachable: \(error)"])
            }
            try? await Task.sleep(
                for: backoff.bound(attempt: attempt) / 2 + backoff.delay(attempt: attempt, using: &generator) / 2)
            attempt += 1
        }
    }

    /// Waits until a worker is lost; `nil` where the task is cancelled.
    private func watch(_ client: WorkerClient, _ id: String, _ lost: OneShot<Void>) async -> WorkerLoss? {
        let timeout = specification.supervision.stallTimeout
        let interval = min(.seconds(1), timeout / 10)
        return await withTaskGroup(of: WorkerLoss?.self) { group in
            group.addTask { await lost.wait().map { .disconnected } }
            group.addTask { [pool] in
                var detector = StallDetector(timeout: timeout, interval: interval)
                while !Task.isCancelled {
                    // It drains: no more requests for it, but those it has end there.
                    if client.progress.isDraining { pool.setAvailable(false, id: id) }
                    if case .wedged? = detector.observe(client.liveness, at: .now) { return .wedged }
                    try? await Task.sleep(for: interval)
                }
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private func change(_ id: WorkerEndpoint.Found, _ change: (inout ModelWorkers.Worker) -> Void) {
        state.withLock { state in
            guard var worker = state.workers[id] else { return }
            change(&worker)
            state.workers[id] = worker
        }
    }
}
