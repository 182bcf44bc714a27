internal import Foundation
package import Logging
internal import MartinetAPI
package import MartinetEngine
internal import MartinetFleet
package import MartinetModels
internal import MartinetUpstreams
internal import ServiceLifecycle
internal import Synchronization

/// The models and pools of a server: starts what its specification names, and follows it when it changes.
package final class ServedFleet: FleetControl {
    private struct Part {
        var model: any FleetModel
        var served: ServedModel
        var task: Task<Void, Never>
        /// Why its workers were given up.
        var failure: OneShot<EngineError>
    }

    private struct UpstreamPart {
        var specification: FleetSpecification.Upstreams
        var pool: UpstreamPool
        var task: Task<Void, Never>
    }

    private struct State {
        var parts: [Part] = []
        var upstreams: [UpstreamPart] = []
        var rules: RoutingTable?
        var isChanging = false
    }

    /// What the routes find their models in.
    package let directory = ModelDirectory([])
    private let state = Mutex(State())
    private let failure = OneShot<EngineError>()
    private let executable: String
    private let folder: SocketFolder
    private let logger: Logger
    private let load: @Sendable () throws -> FleetSpecification

    /// Makes a fleet; ``start()`` starts it.
    ///
    /// - Parameters:
    ///   - executable: the program's path, whose `worker` command is what workers run.
    ///   - load: reads the specification; called at the start and at each ``reload()``.
    /// - Throws: where the folder of the workers' sockets cannot be made.
    package init(
        executable: String, logger: Logger, load: @escaping @Sendable () throws -> FleetSpecification
    ) throws {
        self.executable = executable
        self.logger = logger
        self.load = load
        folder = try SocketFolder()
    }

    deinit { folder.remove() }

    /// Starts all models and pools, and returns when each model has a worker that is ready.
    ///
    /// - Parameter describe: takes what each local model is planned with, before it starts.
    /// - Throws: where the specification cannot be used, or a model cannot be served.
    package func start(describe: (ModelDescription) -> Void) async throws {
        let specification = try load()
        guard !specification.models.isEmpty || !specification.upstreams.isEmpty else {
            throw EngineError(.invalidParameter, "There is nothing to serve: name a model or a pool of upstreams.")
        }
        let share = Self.workerCount(specification)
        for model in specification.models {
            let part = try await makePart(model, share: share)
            if let local = part.model as? LocalModel { describe(ModelDescription(local)) }
            state.withLock { $0.parts.append(part) }
        }
        for upstreams in specification.upstreams {
            let part = try makePart(upstreams)
            state.withLock { $0.upstreams.append(part) }
        }
        state.withLock { $0.rules = specification.rules }
        publish()
        for part in state.withLock(\.parts) { try await Self.waitUntilReady(part) }
    }

    /// Returns when the task is cancelled or the process shuts down.
    ///
    /// - Throws: ``EngineError`` where nothing is left to serve with.
    package func run() async throws {
        let error = await withTaskGroup(of: EngineError?.self) { [failure] group in
            group.addTask { await failure.wait() }
            group.addTask {
                try? await gracefulShutdown()
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        if let error { throw error }
    }

    /// Ends all workers and pools, at once.
    package func end() async {
        let (parts, upstreams) = state.withLock { ($0.parts, $0.upstreams) }
        await withDiscardingTaskGroup { group in
            for part in parts {
                group.addTask {
                    part.model.pool.stop()
                    await part.model.end(deadline: .seconds(5))
                    await part.task.value
                }
            }
            for part in upstreams { group.addTask { await Self.end(part) } }
        }
        folder.remove()
    }

    // MARK: Looking after it

    package func models() -> [ModelWorkers] { state.withLock(\.parts).map(\.model.figures) }

    package func replaceWorkers(of model: String?) async throws {
        let parts = state.withLock(\.parts).filter { model == nil || $0.served.names.contains(model ?? "") }
        guard !parts.isEmpty else {
            throw APIError.unknownModel(model ?? "", served: state.withLock(\.parts).flatMap(\.served.names))
        }
        for part in parts { try await part.model.replaceWorkers() }
    }

    package func reload() async throws -> [String] {
        let isFirst = state.withLock { state in
            defer { state.isChanging = true }
            return !state.isChanging
        }
        guard isFirst else {
            throw APIError(status: 409, "The configuration is being reloaded already.", code: "reload_in_progress")
        }
        defer { state.withLock { $0.isChanging = false } }
        let specification = try load()
        let changes = try await apply(specification)
        for change in changes { logger.notice("configuration", metadata: ["change": "\(change)"]) }
        return changes
    }

    /// Brings up what is new, switches over, and ends what is no longer named: whoever asks meanwhile is served.
    private func apply(_ specification: FleetSpecification) async throws -> [String] {
        guard !specification.models.isEmpty || !specification.upstreams.isEmpty else {
            throw EngineError(.invalidParameter, "The new configuration has nothing to serve.")
        }
        let (before, upstreamsBefore) = state.withLock { ($0.parts, $0.upstreams) }
        var changes: [String] = []
        var parts: [Part] = []
        var upstreams: [UpstreamPart] = []
        var fresh: [Part] = []
        do {
            for model in specification.models {
                if let same = before.first(where: { $0.model.specification == model }) {
                    parts.append(same)
                    continue
                }
                let part = try await makePart(model, share: Self.workerCount(specification))
                fresh.append(part)
                parts.append(part)
                let known = before.contains { $0.model.specification.name == model.name }
                changes.append("model \(model.name) \(known ? "changed" : "added")")
            }
            for part in fresh { try await Self.waitUntilReady(part) }
            for pool in specification.upstreams {
                if let same = upstreamsBefore.first(where: { $0.specification == pool }) {
                    upstreams.append(same)
                    continue
                }
                upstreams.append(try makePart(pool))
                let known = upstreamsBefore.contains { $0.specification.pool.name == pool.pool.name }
                changes.append("upstreams \(pool.pool.name) \(known ? "changed" : "added")")
            }
        } catch {
            for part in fresh { await part.model.end(deadline: .seconds(5)) }
            throw error
        }
        state.withLock { [parts, upstreams] state in
            state.parts = parts
            state.upstreams = upstreams
            state.rules = specification.rules
        }
        publish()
        for old in before where !parts.contains(where: { $0.model.pool === old.model.pool }) {
            if !parts.contains(where: { $0.model.specification.name == old.model.specification.name }) {
                changes.append("model \(old.model.specification.name) removed")
            }
            // Requests that it has end in their time.
            Task {
                await old.model.engine.shutdown(deadline: .seconds(600))
                await old.model.end(deadline: .seconds(5))
            }
        }
        for old in upstreamsBefore where !upstreams.contains(where: { $0.pool === old.pool }) {
            if !upstreams.contains(where: { $0.specification.pool.name == old.specification.pool.name }) {
                changes.append("upstreams \(old.specification.pool.name) removed")
            }
            old.task.cancel()
            // Streams that it has end in their time.
            Task {
                try? await Task.sleep(for: .seconds(600))
                await Self.end(old)
            }
        }
        return changes
    }

    private static func waitUntilReady(_ part: Part) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await part.model.waitUntilReady() }
            // Unlike waiting for the task itself, this ends when it is cancelled.
            group.addTask {
                guard let error = await part.failure.wait() else { return }
                throw EngineError(.unavailable, "The model \(part.served.name) did not start: \(error.message)")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    // MARK: Parts

    private static func workerCount(_ specification: FleetSpecification) -> Int {
        specification.models.reduce(0) { sum, model in
            if case .workers(_, let count, _, _) = model.runner { sum + count } else { sum }
        }
    }

    private func makePart(_ specification: ModelSpecification, share: Int) async throws -> Part {
        let model: any FleetModel
        var maxSamples = 128
        switch specification.runner {
        case .workers(let path, let count, let arguments, let options):
            maxSamples = options.maxNumSeqs
            model = try LocalModel(
                specification, path: path, count: count, arguments: arguments, options: options, share: share,
                executable: executable, folder: folder, logger: logger)
        case .connect(let endpoints, let tls):
            model = try await RemoteModel(specification, endpoints: endpoints, tls: tls, logger: logger)
        }
        let served = ServedModel(
            model.engine.model, names: specification.names, root: specification.root,
            maxModelLength: model.engine.maxModelLength, maxSamples: maxSamples, turns: specification.turns)
        let failure = OneShot<EngineError>()
        let task = Task {
            do throws(EngineError) {
                try await model.run()
            } catch {
                failure.set(error)
                self.gaveUp(model, error)
            }
        }
        return Part(model: model, served: served, task: task, failure: failure)
    }

    private func makePart(_ specification: FleetSpecification.Upstreams) throws -> UpstreamPart {
        let pool = try UpstreamPool(
            specification.pool, policy: RoutingPolicyName.leastTokens.makePolicy(), logger: logger)
        return UpstreamPart(specification: specification, pool: pool, task: Task { await pool.run() })
    }

    private static func end(_ part: UpstreamPart) async {
        part.task.cancel()
        await part.task.value
        await part.pool.shutdown()
    }

    private func publish() {
        let (parts, upstreams, rules) = state.withLock { ($0.parts, $0.upstreams, $0.rules) }
        directory.replace(
            with: parts.map { $0.model.deployment($0.served) },
            upstreams: upstreams.map { UpstreamDestination(names: $0.specification.names, pool: $0.pool) },
            rules: rules)
    }

    /// A model has no workers any more; with the last one, nothing is left to serve with.
    private func gaveUp(_ model: any FleetModel, _ error: EngineError) {
        logger.critical(
            "a model has no workers any more",
            metadata: ["model": "\(model.specification.name)", "error": "\(error.message)"])
        let isOver = state.withLock { state in
            state.upstreams.isEmpty
                && state.parts.allSatisfy { part in part.model.workers.allSatisfy { $0.state == "failed" } }
        }
        if isOver { failure.set(error) }
    }
}

/// What a local model is planned with, for people.
package struct ModelDescription {
    /// What was asked for.
    package let specification: ModelSpecification
    /// The shape.
    package let configuration: ModelConfiguration
    /// Sizes.
    package let facts: ModelFacts
    /// What each worker reserves.
    package let plan: MemoryPlan

    init(_ model: LocalModel) {
        specification = model.specification
        configuration = model.configuration
        facts = model.facts
        plan = model.plan
    }
}
