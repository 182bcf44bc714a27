package import MartinetEngine
internal import Synchronization

/// Keeps the worker processes of a pool alive: starts them, puts those that answer into the pool, watches them, and
/// starts those again that end or do nothing.
package final class WorkerSupervisor: Sendable {
    /// Makes the command of a start; its process id is not known yet and 0.
    package typealias MakeCommand = @Sendable (WorkerLaunch) -> WorkerCommand
    /// Waits until a worker answers. It tries for as long as its task is not cancelled, and throws where trying on is
    /// no use.
    package typealias Connect = @Sendable (WorkerLaunch) async throws -> WorkerConnection

    struct Running: Sendable {
        var process: WorkerProcess
        var connection: WorkerConnection
        var makeCommand: MakeCommand
        /// Whether it came into the pool.
        let isTaken = OneShot<Bool>()
    }

    struct Slot: Sendable {
        var makeCommand: MakeCommand
        var status: WorkerStatus
        /// What is to take over, and what tells the slot's task.
        var successor: Running?
        var wake = OneShot<Void>()
    }

    private struct State {
        var slots: [String: Slot] = [:]
        var generation = 0
        var tasks: [Task<Void, Never>] = []
        var retiring: [Task<Void, Never>] = []
        var stopDeadline: ContinuousClock.Instant?
    }

    private let pool: WorkerPool
    private let ids: [String]
    private let connect: Connect
    private let options: SupervisionOptions
    private let log: @Sendable (_ worker: String, _ message: String) -> Void
    private let state = Mutex(State())

    /// Makes a supervisor; ``run()`` starts the workers.
    ///
    /// - Parameters:
    ///   - workers: the workers' ids.
    ///   - log: takes what happens to a worker, a line at a time.
    package init(
        pool: WorkerPool, workers ids: [String], options: SupervisionOptions = SupervisionOptions(),
        makeCommand: @escaping MakeCommand, connect: @escaping Connect,
        log: @escaping @Sendable (_ worker: String, _ message: String) -> Void = { _, _ in }
    ) {
        self.pool = pool
        self.ids = ids
        self.options = options
        self.connect = connect
        self.log = log
        state.withLock { state in
            for id in ids { state.slots[id] = Slot(makeCommand: makeCommand, status: WorkerStatus(id: id)) }
        }
    }

    /// All workers, in the order given.
    package var workers: [WorkerStatus] {
        state.withLock { state in ids.compactMap { state.slots[$0]?.status } }
    }

    /// Runs the workers until ``shutdown(deadline:)``, or until the task is cancelled.
    ///
    /// - Throws: ``EngineError`` where every worker was given up.
    package func run() async throws(EngineError) {
        let tasks = state.withLock { state in
            if state.stopDeadline == nil { state.tasks = ids.map { id in Task { await self.run(id) } } }
            return state.tasks
        }
        await withTaskCancellationHandler {
            for task in tasks { await task.value }
        } onCancel: {
            for task in tasks { task.cancel() }
        }
        for task in state.withLock(\.retiring) { await task.value }
        let workers = workers
        guard !workers.isEmpty, workers.allSatisfy({ $0.state == .failed }) else { return }
        let last = workers.map { "\($0.id): \($0.lastEvent)" }.joined(separator: "; ")
        throw EngineError(.unavailable, "Every worker has been given up. \(last)")
    }

    /// Ends the workers: asks them to, and kills those that have not ended at the deadline. Shut the pool down before.
    package func shutdown(deadline: Duration) async {
        let tasks = state.withLock { state in
            state.stopDeadline = .now + deadline
            return state.tasks
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        for task in state.withLock(\.retiring) { await task.value }
    }

    /// Replaces a worker: starts a new process, waits until it answers, and only then lets it take the old one's place
    /// and sequences.
    ///
    /// - Parameter makeCommand: the new command, also for later restarts; `nil` keeps the old one.
    /// - Throws: ``EngineError`` where the new process does not become ready; the old one then goes on.
    package func replace(id: String, makeCommand: MakeCommand? = nil) async throws(EngineError) {
        guard let slot = state.withLock({ $0.slots[id] }), ![.failed, .stopped].contains(slot.status.state) else {
            throw EngineError(.unavailable, "There is no worker \(id) that could be replaced.")
        }
        log(id, "is being replaced")
        let successor: Running
        do {
            successor = try await start(id, makeCommand ?? slot.makeCommand)
        } catch {
            throw EngineError(.unavailable, "The worker \(id) was not replaced: its successor \(error).")
        }
        let wake = state.withLock { state -> OneShot<Void>? in
            guard state.stopDeadline == nil, let slot = state.slots[id], slot.successor == nil,
                ![.failed, .stopped].contains(slot.status.state)
            else { return nil }
            state.slots[id]?.successor = successor
            return state.slots[id]?.wake
        }
        if let wake { wake.set(()) } else { retire(successor) }
        guard await successor.isTaken.wait() == true else {
            throw EngineError(.unavailable, "The worker \(id) was given up, shut down or replaced meanwhile.")
        }
    }

    /// Replaces all workers, one after the other.
    ///
    /// - Throws: ``EngineError`` at the first that fails; those before it are new, the others go on as they are.
    package func replaceAll(makeCommand: MakeCommand? = nil) async throws(EngineError) {
        for id in ids { try await replace(id: id, makeCommand: makeCommand) }
    }

    // MARK: One worker

    private func run(_ id: String) async {
        var policy = RestartPolicy(options.restart)
        var delay = Duration.zero
        while !Task.isCancelled {
            if delay > .zero { try? await Task.sleep(for: delay) }
            guard !Task.isCancelled else { break }
            var event: RestartPolicy.Event
            do {
                if let running = takeSuccessor(id) {
                    event = await watch(id, running, &policy)
                } else if let makeCommand = state.withLock({ $0.slots[id]?.makeCommand }) {
                    event = await watch(id, try await start(id, makeCommand), &policy)
                } else {
                    return
                }
            } catch {
                event = error.event
                change(id, "its process \(error)") { $0.failedStarts += 1 }
            }
            guard !Task.isCancelled else { break }
            switch policy.handle(event, at: .now) {
            case .giveUp(let failures)?:
                change(id, "given up after \(failures) failures, the last: \(lastEvent(id))") { $0.state = .failed }
                if let successor = takeSuccessor(id) { retire(successor) }
                return
            case .spawn(let after)?: delay = after
            case nil: delay = .zero
            }
        }
        change(id, "stopped") { status in
            status.state = .stopped
            status.processID = nil
        }
        if let successor = takeSuccessor(id) { retire(successor) }
    }

    /// Why a process did not become a worker.
    private struct StartFailure: Error, CustomStringConvertible {
        var event: RestartPolicy.Event
        var description: String
    }

    /// Starts a process and waits until it answers.
    private func start(_ id: String, _ makeCommand: @escaping MakeCommand) async throws(StartFailure) -> Running {
        let generation = state.withLock { state in
            state.generation += 1
            return state.generation
        }
        var launch = WorkerLaunch(id: id, generation: generation, processID: 0)
        let process: WorkerProcess
        do {
            process = try WorkerProcess(makeCommand(launch))
        } catch {
            throw StartFailure(event: .didNotStart, description: "could not be started: \(error)")
        }
        launch.processID = process.id
        let started = await withTaskGroup(of: Result<WorkerConnection, StartFailure>.self) { [launch] group in
            group.addTask {
                do {
                    return .success(try await self.connect(launch))
                } catch {
                    return .failure(StartFailure(event: .startTimedOut, description: "does not answer: \(error)"))
                }
            }
            group.addTask {
                let exit = await process.waitForExit() ?? .status(0)
                return .failure(StartFailure(event: .exited(exit), description: "\(exit) before it was ready"))
            }
            group.addTask {
                try? await Task.sleep(for: self.options.startLimit)
                return .failure(
                    StartFailure(event: .startTimedOut, description: "was not ready within \(self.options.startLimit)"))
            }
            let first = await group.next()
            group.cancelAll()
            // It may have answered and ended at the same time.
            for await case .success(let late) in group { await late.close() }
            return first
        }
        switch started {
        case .success(let connection)?:
            return Running(process: process, connection: connection, makeCommand: makeCommand)
        case .failure(let failure)?:
            process.kill()
            throw failure
        case nil:
            process.kill()
            throw StartFailure(event: .didNotStart, description: "was not waited for")
        }
    }

    private enum Outcome: Sendable {
        case exited(WorkerExit)
        case stalled(StallDetector.Finding)
        case succeeded
        case cancelled
    }

    /// Puts a worker into the pool and watches it to its end, and its successors to theirs.
    private func watch(_ id: String, _ first: Running, _ policy: inout RestartPolicy) async -> RestartPolicy.Event {
        var running = first
        var former: Running?
        while true {
            _ = policy.handle(.ready, at: .now)
            // Where another is there under this id, its sequences move.
            pool.add(member: running.connection.engine, id: id, isSupervised: true)
            change(id, "ready, process \(running.process.id)") { status in
                status.state = .ready
                status.processID = running.process.id
            }
            state.withLock { $0.slots[id]?.makeCommand = running.makeCommand }
            running.isTaken.set(true)
            if let former { retire(former) }
            former = nil
            switch await outcome(id, running) {
            case .succeeded:
                guard let successor = takeSuccessor(id) else { continue }
                former = running
                running = successor
            case .exited(let exit):
                lose(id, running, exit.loss, "\(exit)")
                return .exited(exit)
            case .stalled(.wedged(let reason)):
                let isStopped = running.process.isStopped
                lose(
                    id, running, isStopped ? .stopped : .wedged, isStopped ? "stopped by a signal" : "wedged: \(reason)"
                )
                return .wedged
            case .stalled(.disconnected):
                lose(id, running, .disconnected, "its connection broke")
                return .disconnected
            case .cancelled:
                let grace = state.withLock(\.stopDeadline).map { max(.zero, $0 - .now) } ?? options.terminationGrace
                // This task is cancelled; the end of the process is waited for all the same.
                let process = running.process
                await Task { await process.end(within: grace) }.value
                pool.remove(id: id)
                await running.connection.close()
                return .wedged
            }
        }
    }

    private func outcome(_ id: String, _ running: Running) async -> Outcome {
        let wake = state.withLock { $0.slots[id]?.wake }
        let interval = min(.seconds(1), options.stallTimeout / 10)
        let timeout = options.stallTimeout
        return await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await running.process.waitForExit().map { .exited($0) } }
            group.addTask { await wake?.wait().map { .succeeded } }
            group.addTask {
                var detector = StallDetector(timeout: timeout, interval: interval)
                while !Task.isCancelled {
                    if let finding = detector.observe(running.connection.liveness(), at: .now) {
                        return .stalled(finding)
                    }
                    try? await Task.sleep(for: interval)
                }
                return nil
            }
            defer { group.cancelAll() }
            return (await group.next() ?? nil) ?? .cancelled
        }
    }

    private func lose(_ id: String, _ running: Running, _ cause: WorkerLoss, _ message: String) {
        // Out of the pool first, so that its sequences go on.
        pool.memberLost(id: id, cause: cause)
        running.process.kill()
        Task { await running.connection.close() }
        change(id, message) { status in
            status.state = .restarting
            status.processID = nil
            status.losses[cause, default: 0] += 1
        }
    }

    /// Ends a process that another has taken the place of.
    private func retire(_ running: Running) {
        running.isTaken.set(false)
        let grace = options.terminationGrace
        let task = Task {
            await running.process.end(within: grace)
            await running.connection.close()
        }
        state.withLock { $0.retiring.append(task) }
    }

    private func takeSuccessor(_ id: String) -> Running? {
        state.withLock { state in
            guard let successor = state.slots[id]?.successor else { return nil }
            state.slots[id]?.successor = nil
            state.slots[id]?.wake = OneShot()
            return successor
        }
    }

    private func lastEvent(_ id: String) -> String { state.withLock { $0.slots[id]?.status.lastEvent } ?? "" }

    private func change(_ id: String, _ message: String, _ change: (inout WorkerStatus) -> Void) {
        state.withLock { state in
            guard var status = state.slots[id]?.status else { return }
            change(&status)
            status.lastEvent = message
            state.slots[id]?.status = status
        }
        log(id, message)
    }
}
