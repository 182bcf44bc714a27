internal import Logging
internal import MartinetEngine
internal import MartinetFleet
internal import MartinetModels
internal import MartinetWorkerProtocol
internal import Synchronization

/// A model whose workers run already, on this machine or others.
final class RemoteModel: FleetModel {
    private struct State {
        var workers: [String: ModelWorkers.Worker]
        var task: Task<Void, Never>?
    }

    let specification: ModelSpecification
    let pool: WorkerPool
    let engine: InferenceEngine
    let capacity: Int
    private let addresses: [WorkerAddress]
    private let tls: WorkerClientTLS?
    private let logger: Logger
    private let state: Mutex<State>

    /// Connects to the first worker that answers, to learn what it serves; ``run()`` connects to all.
    ///
    /// - Throws: where none answers.
    init(
        _ specification: ModelSpecification, addresses: [WorkerAddress], tls: WorkerClientTLS?, logger: Logger
    ) async throws {
        self.specification = specification
        self.addresses = addresses
        self.tls = tls
        self.logger = logger
        let first = try await Self.first(of: addresses, tls: tls, logger: logger)
        let text = try await first.textModel()
        let limits = first.limits
        var options = specification.pool
        options.endTokens = text.endTokens
        options.maxSequencesPerMember = max(1, first.description.maxSequences)
        capacity = options.maxSequencesPerMember * addresses.count
        await first.shutdown(deadline: .zero)
        pool = WorkerPool(limits: limits, policy: specification.policy.makePolicy(), options: options)
        engine = InferenceEngine(model: text, engine: pool)
        state = Mutex(
            State(
                workers: Dictionary(
                    addresses.map { address in
                        let id = "\(address)"
                        return (id, .init(id: id, processID: nil, state: "starting", restarts: 0))
                    }, uniquingKeysWith: { first, _ in first })))
    }

    private static func first(
        of addresses: [WorkerAddress], tls: WorkerClientTLS?, logger: Logger
    ) async throws -> WorkerClient {
        var failure: (any Error)?
        var attempt = 0
        // A fleet often starts together with its workers.
        let end = ContinuousClock.now + .seconds(30)
        repeat {
            for address in addresses {
                do {
                    return try await WorkerClient.connect(to: address, tls: tls, timeout: .seconds(3))
                } catch {
                    failure = error
                    if attempt % 10 == 0 { logger.warning("a worker does not answer", metadata: ["error": "\(error)"]) }
                }
            }
            attempt += 1
            try await Task.sleep(for: .seconds(1))
        } while .now < end
        throw failure ?? EngineError(.unavailable, "A model needs the address of a worker.")
    }

    var workers: [ModelWorkers.Worker] {
        state.withLock { state in addresses.compactMap { state.workers["\($0)"] } }
    }

    func run() async throws(EngineError) {
        let task = Task {
            await withDiscardingTaskGroup { group in
                for address in addresses { group.addTask { await self.keep(address) } }
            }
        }
        state.withLock { $0.task = task }
        await task.value
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
    private func keep(_ address: WorkerAddress) async {
        let id = "\(address)"
        let backoff = Backoff(base: .milliseconds(100), maximum: .seconds(5))
        var generator = JitterGenerator(seed: .random(in: .min ... .max))
        var attempt = 0
        while !Task.isCancelled {
            let lost = OneShot<Void>()
            do {
                let client = try await WorkerClient.connect(to: address, tls: tls) { _ in lost.set(()) }
                guard client.limits == pool.limits else {
                    await client.shutdown(deadline: .zero)
                    throw EngineError(.unavailable, "It serves other bounds or another model than its siblings.")
                }
                attempt = 0
                change(id) { $0.state = "ready" }
                logger.notice("worker", metadata: ["worker": "\(id)", "event": "connected"])
                pool.add(member: LentEngine(engine: client), id: id, isSupervised: true)
                let loss = await watch(client, id, lost)
                pool.memberLost(id: id, cause: loss ?? .ended)
                await client.shutdown(deadline: .zero)
                guard let loss else { return }
                change(id) { worker in
                    worker.state = "restarting"
                    worker.restarts += 1
                }
                logger.warning("worker", metadata: ["worker": "\(id)", "event": "lost: \(loss.rawValue)"])
            } catch {
                logger.debug("worker", metadata: ["worker": "\(id)", "event": "unreachable: \(error)"])
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

    private func change(_ id: String, _ change: (inout ModelWorkers.Worker) -> Void) {
        state.withLock { state in
            guard var worker = state.workers[id] else { return }
            change(&worker)
            state.workers[id] = worker
        }
    }
}
