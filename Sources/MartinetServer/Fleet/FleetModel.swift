internal import MartinetAPI
internal import MartinetEngine
internal import MartinetFleet
internal import MartinetTemplates
internal import MartinetTokenizers

/// A model of the fleet: a pool of workers, and what keeps them there.
protocol FleetModel: Sendable {
    var specification: ModelSpecification { get }
    var pool: WorkerPool { get }
    var engine: InferenceEngine { get }
    /// How many sequences its workers run at once.
    var capacity: Int { get }
    /// What is known of the workers.
    var workers: [ModelWorkers.Worker] { get }

    /// Keeps the workers until ``end(deadline:)``.
    ///
    /// - Throws: ``EngineError`` where all of them have been given up.
    func run() async throws(EngineError)
    /// Ends the workers, when the pool is empty.
    func end(deadline: Duration) async
    /// Puts new workers in the places of the old ones.
    func replaceWorkers() async throws(EngineError)
}

extension FleetModel {
    /// The model as the routes see it.
    func deployment(_ served: ServedModel) -> Deployment {
        Deployment(model: served, service: FleetService(model: self, engine: EngineService(engine)), capacity: capacity)
    }

    /// Figures of this moment.
    var figures: ModelWorkers {
        let snapshot = pool.snapshot()
        let members = Dictionary(snapshot.members.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var figures = ModelWorkers(model: specification.name, workers: workers)
        for index in figures.workers.indices {
            guard let member = members[figures.workers[index].id] else { continue }
            figures.workers[index].outstandingSequences = member.outstandingSequences
            figures.workers[index].outstandingTokens = member.outstandingTokens
        }
        figures.waiting = snapshot.waiting
        for cause in WorkerLoss.allCases { figures.losses[cause.rawValue] = snapshot.losses[cause] ?? 0 }
        for outcome in PoolSnapshot.Resumption.allCases {
            figures.resumptions[outcome.rawValue] = snapshot.resumptions[outcome] ?? 0
        }
        figures.refusedRequests = snapshot.refusedRequests
        return figures
    }

    /// Returns when a worker can take requests.
    func waitUntilReady() async {
        while !Task.isCancelled, !workers.contains(where: { $0.state == "ready" }) {
            try? await Task.sleep(for: .milliseconds(2))
        }
    }
}

/// A fleet's model as a service; it is not well while no worker is ready.
private struct FleetService: InferenceService {
    let model: any FleetModel
    let engine: EngineService

    var maxModelLength: Int { engine.maxModelLength }
    var tokenizer: any Tokenizer { engine.tokenizer }

    func generate(
        _ request: InferenceRequest
    ) throws(EngineError) -> any AsyncSequence<[InferenceEvent], EngineError> & Sendable {
        try engine.generate(request)
    }

    func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]?, addGenerationPrompt: Bool, continueFinalMessage: Bool,
        arguments: [(String, TemplateValue)]
    ) throws(EngineError) -> [Int32] {
        try engine.chatPrompt(
            messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt,
            continueFinalMessage: continueFinalMessage, arguments: arguments)
    }

    func statistics() -> EngineStatistics {
        var statistics = engine.statistics()
        let workers = model.workers
        if statistics.failure == nil, !workers.contains(where: { $0.state == "ready" }) {
            let states = workers.map { "\($0.id) \($0.state)" }.joined(separator: ", ")
            statistics.failure = "no worker is ready (\(states))"
        }
        return statistics
    }

    func shutdown(deadline: Duration) async {
        await engine.shutdown(deadline: deadline)
        await model.end(deadline: .seconds(5))
    }
}

/// A member of a pool that the pool's end does not end: what keeps the workers does that, in order.
struct LentEngine: SequenceEngine {
    let engine: any SequenceEngine

    var limits: SequenceLimits { engine.limits }
    func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        try engine.submit(request, to: sink)
    }
    func statistics() -> EngineStatistics { engine.statistics() }
    func shutdown(deadline: Duration) async {}
    func stop() {}
}
