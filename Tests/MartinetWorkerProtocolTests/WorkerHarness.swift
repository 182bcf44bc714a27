import Foundation
import MartinetEngine
import MartinetModels
import MartinetTestKit
import MartinetWorkerProtocol
import Synchronization

/// A worker in this process, on a socket of its own, with the model of random weights.
struct WorkerHarness {
    let server: WorkerServer
    let engine: Engine
    let running: Task<Void, any Error>
    let gate: Gate

    /// - Parameter steps: how many steps the engine makes before it waits for the gate to open.
    init(
        steps: Int = 1 << 60, options: EngineOptions = .forTests, address: WorkerAddress? = nil,
        tls: WorkerServerTLS? = nil, limits: WorkerServer.Limits = .init(), drainTimeout: Duration = .seconds(60)
    ) throws {
        let model = try TestModels.tinyModel()
        let plan = try MemoryPlan(model: model, options: options)
        let signal = StepSignal()
        let gate = Gate(steps: steps)
        self.gate = gate
        engine = try Engine(
            maxSequences: options.maxNumSeqs, maxWaiting: options.maxWaiting, endTokens: model.endTokens, seed: 0,
            constraints: ConstraintCompiler(
                tokenizer: model.tokenizer, vocabularySize: model.configuration.vocabularySize,
                endTokens: model.endTokens),
            stepEnded: signal.stepEnded
        ) {
            GatedRunner(try model.makeRunner(limits: plan.limits, options: RunnerOptions(threads: 1)), gate: gate)
        }
        server = try WorkerServer(
            engine: engine, steps: signal,
            description: WorkerDescription(
                model: model, name: "tiny", plan: plan, options: options, limits: engine.limits, version: "1.2.3"),
            textFiles: .load(path: TestModels.tiny("llama.gguf")),
            address: address ?? .unix(path: Self.socketPath()), tls: tls, limits: limits, drainTimeout: drainTimeout)
        running = Task { [server] in try await server.run() }
    }

    static func socketPath() -> String { "/tmp/martinet-\(UUID().uuidString.prefix(13)).sock" }

    func connect(onLost: @escaping @Sendable (EngineError) -> Void = { _ in }) async throws -> WorkerClient {
        try await WorkerClient.connect(to: server.address, timeout: .seconds(60), onLost: onLost)
    }

    /// Ends the worker and waits for it.
    func end() async throws {
        gate.open()
        server.drain()
        try await running.value
    }
}

extension EngineOptions {
    static var forTests: EngineOptions {
        var options = EngineOptions()
        options.kvCacheBytes = 64 << 20
        options.maxNumSeqs = 16
        options.threads = 1
        return options
    }
}

/// What became of a request.
final class Recorder: SequenceSink {
    struct Record {
        var tokens: [Int: [Int32]] = [:]
        var logprobs: [Int: [TokenLogprobs?]] = [:]
        var prompt: (cached: Int, logprobs: [TokenLogprobs?]?)?
        var embedding: Embedding?
        var finished: [Int: FinishReason] = [:]
        var endings: [Int] = []
        var failures: [EngineError] = []
        var eventsAfterEnd = 0
    }

    private let record = Mutex(Record())

    func publish(_ events: [SequenceEvent]) {
        record.withLock { record in
            for event in events {
                if record.finished[event.sample] != nil || !record.failures.isEmpty { record.eventsAfterEnd += 1 }
                switch event.event {
                case .prompt(let cached, let logprobs): record.prompt = (cached, logprobs)
                case .token(let token, let logprobs):
                    record.tokens[event.sample, default: []].append(token)
                    record.logprobs[event.sample, default: []].append(logprobs)
                case .embedding(let embedding): record.embedding = embedding
                case .finished(let reason):
                    record.finished[event.sample] = reason
                    record.endings.append(event.sample)
                }
            }
        }
    }

    func fail(_ error: EngineError) { record.withLock { $0.failures.append(error) } }

    var now: Record { record.withLock { $0 } }

    /// Waits until every sample has ended, or the request failed.
    func ended(samples: Int = 1) async throws -> Record {
        try await eventually("the request's end") {
            let record = self.now
            return record.finished.count == samples || !record.failures.isEmpty
        }
        return now
    }
}

struct Timeout: Error, CustomStringConvertible {
    let description: String
}

/// Waits for a condition; the limit is for machines in trouble.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw Timeout(description: "\(what) did not come") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

func request(
    _ id: String = "r", prompt: [Int32] = [1, 17, 42, 99, 7], maxTokens: Int = 24,
    _ change: (inout EngineRequest) -> Void = { _ in }
) -> EngineRequest {
    var sampling = SamplingParameters.greedy
    sampling.maxTokens = maxTokens
    sampling.ignoreEndOfText = true
    var request = EngineRequest(id: id, prompt: prompt, sampling: sampling)
    change(&request)
    return request
}

/// A request that runs until the context is full, which a closed gate puts off.
func endless(_ id: String = "endless") -> EngineRequest {
    request(id) { $0.sampling.maxTokens = nil }
}
