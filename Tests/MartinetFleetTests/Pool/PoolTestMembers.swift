import MartinetEngine
import MartinetFleet
import MartinetModels
import MartinetTestKit
import Synchronization

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// A member that does only what a test tells it.
final class ScriptedMember: SequenceEngine {
    struct Submission: Sendable {
        var request: EngineRequest
        var sink: any SequenceSink
        var ticket: SequenceTicket
    }

    let limits: SequenceLimits
    private let submitted = Mutex<[Submission]>([])
    private let refusal = Mutex<EngineError?>(nil)
    private let cancelled = Mutex<[Int?]>([])
    private let figures = Mutex(EngineStatistics())

    init(limits: SequenceLimits = testLimits) { self.limits = limits }

    var submissions: [Submission] { submitted.withLock { $0 } }
    /// The samples of all cancellations; `nil` for all of a request.
    var cancellations: [Int?] { cancelled.withLock { $0 } }

    /// What it throws from now on.
    func refuse(with error: EngineError?) { refusal.withLock { $0 = error } }
    func count(_ change: (inout EngineStatistics) -> Void) { figures.withLock { change(&$0) } }

    func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        if let error = refusal.withLock({ $0 }) { throw error }
        let ticket = SequenceTicket { [weak self] sample in self?.cancelled.withLock { $0.append(sample) } }
        submitted.withLock { $0.append(Submission(request: request, sink: sink, ticket: ticket)) }
        return ticket
    }

    func statistics() -> EngineStatistics { figures.withLock { $0 } }
    func shutdown(deadline: Duration) async {}
    func stop() {}
}

let testLimits = SequenceLimits(maxModelLength: 80, maxWaiting: 1000, vocabularySize: 64)

func makeTestEngine(maxSequences: Int = 8) throws -> Engine {
    let runner = HistoryRunner(
        limits: RunnerLimits(
            maxBatchedTokens: 48, maxLogitRows: 64, maxModelLength: testLimits.maxModelLength, blockSize: 4,
            blockCount: 256))
    nonisolated(unsafe) let confined = runner
    return try Engine(
        maxSequences: maxSequences, maxWaiting: testLimits.maxWaiting, endTokens: [TextVocabulary.end], seed: 0,
        constraints: ConstraintCompiler(
            tokenizer: TextVocabulary(), vocabularySize: 64, endTokens: [TextVocabulary.end])
    ) { confined }
}

/// An engine that dies: after a number of events, or where it gets a request that kills.
final class MortalMember: SequenceEngine {
    /// What its death looks like from outside.
    enum Death: Sendable {
        /// Each open request fails with `worker_lost`.
        case closes
        /// Nothing comes any more.
        case silent
        /// It is taken for dead but goes on.
        case zombie
    }

    private struct State {
        var fuse: Int
        var isDead = false
        var open: [any SequenceSink] = []
    }

    private final class Relay: SequenceSink {
        let member: MortalMember
        let sink: any SequenceSink
        init(_ member: MortalMember, _ sink: any SequenceSink) { (self.member, self.sink) = (member, sink) }
        func publish(_ events: [SequenceEvent]) { member.relay(events, to: sink) }
        func fail(_ error: EngineError) { sink.fail(error) }
    }

    let engine: Engine
    let limits = testLimits
    private let death: Death
    private let state: Mutex<State>
    private let poison: Int32?
    private let onDeath: @Sendable () -> Void

    /// - Parameters:
    ///   - fuse: events until it dies.
    ///   - poison: dies where a prompt begins with it.
    init(
        fuse: Int = .max, death: Death = .closes, poison: Int32? = nil, onDeath: @escaping @Sendable () -> Void
    ) throws {
        engine = try makeTestEngine()
        self.death = death
        self.poison = poison
        self.onDeath = onDeath
        state = Mutex(State(fuse: fuse))
    }

    func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        let isDead = state.withLock { state in
            if !state.isDead { state.open.append(sink) }
            return state.isDead
        }
        if isDead, death == .closes { throw EngineError(.workerLost, "gone") }
        if request.prompt.first == poison {
            die()
            return SequenceTicket { _ in }
        }
        return try engine.submit(request, to: Relay(self, sink))
    }

    private func relay(_ events: [SequenceEvent], to sink: any SequenceSink) {
        let (passed, dies) = state.withLock { state in
            if state.isDead { return (0, false) }
            defer { state.fuse -= events.count }
            return state.fuse < events.count ? (max(0, state.fuse), true) : (events.count, false)
        }
        // It may die in the middle of what it says.
        let count = death == .zombie ? events.count : passed
        if count > 0 { sink.publish(Array(events.prefix(count))) }
        if dies { die() }
    }

    /// Ends its life, as a process that is killed.
    func die() {
        let open: [any SequenceSink]? = state.withLock { state in
            guard !state.isDead else { return nil }
            state.isDead = true
            defer { state.open = [] }
            return state.open
        }
        guard let open else { return }
        if death == .closes { for sink in open { sink.fail(EngineError(.workerLost, "gone")) } }
        onDeath()
    }

    func statistics() -> EngineStatistics { engine.statistics() }
    func shutdown(deadline: Duration) async { await engine.shutdown(deadline: deadline) }
    func stop() { engine.stop() }
}

/// What a client got of one sample.
struct Answer: Hashable, Sendable {
    var tokens: [Int32] = []
    var logprobs: [TokenLogprobs?] = []
    var prompts = 0
    var promptLogprobs: [TokenLogprobs?]?
    var embeddings: [Embedding] = []
    var reason: FinishReason?
}

/// Reads a request's answers to their end.
func answers(_ engine: any SequenceEngine, _ request: EngineRequest) async throws -> [Answer] {
    let mailbox = Mailbox()
    let ticket = try engine.submit(request, to: mailbox)
    defer { withExtendedLifetime(ticket) {} }
    return try await answers(mailbox, samples: request.sampleCount, from: request.sampleIndex)
}

func answers(_ mailbox: Mailbox, samples: Int, from base: Int = 0) async throws -> [Answer] {
    var answers = Array(repeating: Answer(), count: samples)
    while answers.contains(where: { $0.reason == nil }) {
        switch await mailbox.next() {
        case .closed: return answers
        case .failed(let error): throw error
        case .items(let items):
            for item in items {
                let index = item.sample - base
                guard answers.indices.contains(index), answers[index].reason == nil else {
                    throw EngineError(.invalidParameter, "an event of sample \(item.sample) that should not come")
                }
                switch item.event {
                case .prompt(_, let logprobs):
                    answers[index].prompts += 1
                    answers[index].promptLogprobs = logprobs
                case .token(let token, let logprobs):
                    answers[index].tokens.append(token)
                    answers[index].logprobs.append(logprobs)
                case .embedding(let embedding): answers[index].embeddings.append(embedding)
                case .finished(let reason): answers[index].reason = reason
                }
            }
        }
    }
    return answers
}

/// Waits until a condition holds.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<5000 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return condition()
}
