internal import Foundation
internal import Logging
internal import MartinetEngine
internal import MartinetFleet
internal import MartinetModels
internal import MartinetWorkerProtocol

/// A model whose workers are processes of this machine.
final class LocalModel: FleetModel {
    let specification: ModelSpecification
    let pool: WorkerPool
    let engine: InferenceEngine
    /// What each worker reserves.
    let plan: MemoryPlan
    let facts: ModelFacts
    let configuration: ModelConfiguration
    let capacity: Int
    private let supervisor: WorkerSupervisor

    /// Reads the model's text side and plans its workers; ``run()`` starts them.
    ///
    /// - Parameters:
    ///   - share: among how many workers of all models the machine is shared.
    ///   - executable: the path of the program, whose `worker` command they run.
    /// - Throws: where the model cannot be read or does not fit.
    init(
        _ specification: ModelSpecification, path: String, count: Int, arguments: [String], options: EngineOptions,
        share: Int, executable: String, folder: SocketFolder, logger: Logger
    ) throws {
        let loaded = try LoadedModel.load(path: path, name: specification.name)
        var options = options
        let cores = ProcessInfo.processInfo.activeProcessorCount
        if options.threads == nil, share > 1 { options.threads = max(1, cores / share) }
        // All workers get the same bounds, also those that start when memory is scarcer.
        plan = try MemoryPlan(
            model: loaded, options: options, availableBytes: MemoryPlan.availableMemory() / max(1, share))
        configuration = loaded.configuration
        facts = loaded.facts
        let limits = SequenceLimits(
            maxModelLength: plan.limits.maxModelLength, maxWaiting: options.maxWaiting,
            vocabularySize: configuration.vocabularySize)
        var poolOptions = specification.pool
        poolOptions.seed = options.seed
        poolOptions.endTokens = loaded.endTokens
        poolOptions.maxSequencesPerMember = options.maxNumSeqs
        let pool = WorkerPool(
            limits: limits, policy: specification.policy.makePolicy(seed: options.seed), options: poolOptions)
        self.specification = specification
        self.pool = pool
        capacity = options.maxNumSeqs * count
        engine = InferenceEngine(model: loaded.text, engine: pool)

        let fixed =
            ["worker", path, "--exit-with-stdin"] + arguments
            + ["--max-model-len=\(plan.limits.maxModelLength)", "--kv-cache-memory=\(plan.keyValueBytes)"]
            + (options.threads.map { ["--threads=\($0)"] } ?? [])
        let prefix = String(
            specification.name.unicodeScalars.filter { $0.isASCII && $0.properties.isAlphabetic }.prefix(16))
        let socket = { @Sendable (launch: WorkerLaunch) in folder.socket("\(prefix)-\(launch.generation)") }
        let name = specification.name
        supervisor = WorkerSupervisor(
            pool: pool, workers: (0..<count).map(String.init), options: specification.supervision,
            makeCommand: { launch in
                WorkerCommand(
                    executable: executable, arguments: fixed + ["--socket=\(socket(launch))"],
                    output: .lines(Self.passOn))
            },
            connect: { launch in try await Self.connect(socket(launch)) },
            log: { worker, message in
                logger.notice("worker", metadata: ["model": "\(name)", "worker": "\(worker)", "event": "\(message)"])
            })
    }

    /// What a worker logs goes where this process logs; that it is ready, we see ourselves.
    private static func passOn(_ line: String) {
        guard !line.hasPrefix("Ready in ") else { return }
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    private static func connect(_ path: String) async throws -> WorkerConnection {
        // A gRPC connection that finds nobody waits long before it tries again.
        while !FileManager.default.fileExists(atPath: path) { try await Task.sleep(for: .milliseconds(2)) }
        let client = try await Self.client(path)
        return WorkerConnection(
            engine: LentEngine(engine: client), liveness: { client.liveness },
            close: { await client.shutdown(deadline: .zero) })
    }

    /// Tries until the worker answers or the task is cancelled: its end is seen elsewhere.
    private static func client(_ path: String) async throws -> WorkerClient {
        while true {
            if let client = try? await WorkerClient.connect(to: .unix(path: path)) { return client }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    var workers: [ModelWorkers.Worker] {
        supervisor.workers.map { worker in
            let restarts = worker.losses.values.reduce(worker.failedStarts) { $0 &+ $1 }
            return .init(
                id: worker.id, processID: worker.processID.map(Int.init), state: worker.state.rawValue,
                restarts: Int(clamping: restarts))
        }
    }

    func run() async throws(EngineError) { try await supervisor.run() }
    func end(deadline: Duration) async { await supervisor.shutdown(deadline: deadline) }
    func replaceWorkers() async throws(EngineError) { try await supervisor.replaceAll() }
}

extension WorkerClient {
    /// What a supervisor looks at.
    var liveness: WorkerLiveness {
        let progress = progress
        return WorkerLiveness(
            isConnected: progress.isConnected, lastHeartbeat: progress.lastMessage, steps: progress.steps,
            hasWork: progress.hasWork)
    }
}
