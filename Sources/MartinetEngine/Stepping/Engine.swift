internal import Foundation
package import MartinetModels
internal import Synchronization

/// Generates token sequences with one model: takes requests at any time, runs them together, and streams what comes.
///
/// A dedicated thread owns the runner and does all the work; every method may be called from anywhere.
package final class Engine: SequenceEngine {
    /// A request on its way to the thread.
    struct Submission: Sendable {
        var number: UInt64
        var seed: UInt64
        var request: EngineRequest
        var sink: any SequenceSink
        var ticket: SequenceTicket
    }

    private struct Inbox {
        var submissions: [Submission] = []
        var nextNumber: UInt64 = 0
        var accepts = true
        var stops = false
        var isAwake = false
        var failure: EngineError?
        var statistics = EngineStatistics()
        var hasWork = false
        var progress = ContinuousClock.now
        var waiters: [CheckedContinuation<Void, Never>] = []
        var ended = false
        /// Whether accepted requests are still to be worked on.
        var isBusy: Bool { (hasWork || !submissions.isEmpty) && !ended }
    }

    private let inbox = Mutex(Inbox())
    private let doorbell = DispatchSemaphore(value: 0)
    private let seeds: CounterRandom
    /// The bounds that requests are checked against.
    package let limits: SequenceLimits
    private let takesGrammars: Bool
    private let pooling: Pooling?
    private let stepEnded: @Sendable () -> Void

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - makeRunner: makes the runner, on the engine's thread; its error is thrown here.
    ///   - maxSequences: most sequences in a step.
    ///   - maxWaiting: most sequences that may wait.
    ///   - endTokens: tokens that end a generation.
    ///   - seed: where the seeds of requests without one come from.
    ///   - speculation: how tokens are guessed ahead.
    ///   - maxStepStretch: how many times longer a step may take for the prompts it carries beside decodes.
    ///   - constraints: compiles the grammars of requests; without it, those that have one are refused.
    ///   - pooling: how embeddings are made; `nil` as the model says.
    ///   - stepEnded: runs on the engine's thread after each step, when all of its events are published.
    /// - Throws: ``EngineError`` where the pool is smaller than the longest sequence, and what `makeRunner` throws.
    package init(
        maxSequences: Int, maxWaiting: Int, endTokens: Set<Int32>, seed: UInt64, reusesPrefixes: Bool = true,
        speculation: Speculation = .off, maxStepStretch: Double = .infinity, constraints: ConstraintCompiler? = nil,
        pooling: Pooling? = nil,
        stepEnded: @escaping @Sendable () -> Void = {},
        makeRunner: sending () throws -> any ModelRunner
    ) throws {
        let runner = try makeRunner()
        // Else a sequence could grow past the pool and be put back for ever.
        let slots = runner.limits.blockCount * runner.limits.blockSize
        guard runner.limits.maxModelLength <= slots else {
            throw EngineError(
                .invalidParameter,
                "Sequences of \(runner.limits.maxModelLength) tokens do not fit a KV pool of \(slots). Lower "
                    + "max_model_len or give the KV cache more memory.", parameter: "max_model_len")
        }
        seeds = CounterRandom(seed: seed)
        self.stepEnded = stepEnded
        limits = SequenceLimits(
            maxModelLength: runner.limits.maxModelLength, maxWaiting: maxWaiting,
            vocabularySize: runner.configuration.vocabularySize)
        let pooling = pooling ?? runner.configuration.pooling
        let loop = StepLoop(
            runner: runner, maxSequences: maxSequences, endTokens: endTokens, reusesPrefixes: reusesPrefixes,
            speculation: speculation, pace: StepPace(stretch: maxStepStretch), constraints: constraints,
            pooling: pooling, wake: { [doorbell] in doorbell.signal() })
        takesGrammars = constraints != nil
        self.pooling = pooling
        inbox.withLock { $0.statistics = loop.refreshStatistics() }
        // The loop goes to its thread and nowhere else; the compiler cannot see that through the closure.
        nonisolated(unsafe) let confined = loop
        let thread = Thread { [self] in run(confined) }
        thread.name = "martinet-engine"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Takes a request; its events go to `sink`. It is cancelled within one step.
    ///
    /// - Throws: ``EngineError`` where the request is invalid, the queue is full, or the engine does not run.
    @discardableResult
    package func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        try request.validate(limits)
        if let deadline = request.deadline, deadline <= .now { throw .deadlinePassed }
        guard takesGrammars || request.sampling.grammar == nil else {
            throw EngineError(.invalidParameter, "This engine has no vocabulary to hold an output to a grammar.")
        }
        guard !request.embeds || pooling != nil else {
            throw EngineError(
                .invalidParameter, "This model gives no embeddings: its head is a reranker's.", parameter: "model")
        }
        let maxWaiting = limits.maxWaiting
        let ticket = SequenceTicket { [weak self] _ in self?.doorbell.signal() }
        let refusal: EngineError? = inbox.withLock { inbox in
            if let failure = inbox.failure { return failure }
            guard inbox.accepts else {
                return EngineError(.unavailable, "The server is shutting down and takes no new requests.")
            }
            // A request that alone is larger than the queue is taken where nothing waits.
            let waiting = inbox.statistics.waiting + inbox.submissions.reduce(0) { $0 + $1.request.sampleCount }
            guard waiting == 0 || waiting + request.sampleCount <= maxWaiting else {
                return EngineError(
                    .queueFull, "The queue is full: \(maxWaiting) sequences wait already. Try again later.")
            }
            let number = inbox.nextNumber
            inbox.nextNumber += 1
            if !inbox.hasWork && inbox.submissions.isEmpty { inbox.progress = .now }
            inbox.submissions.append(
                Submission(
                    number: number, seed: request.sampling.seed ?? seeds.integer(number, 0), request: request,
                    sink: sink, ticket: ticket))
            return nil
        }
        if let refusal { throw refusal }
        doorbell.signal()
        return ticket
    }

    /// Figures of this moment.
    package func statistics() -> EngineStatistics {
        inbox.withLock { inbox in
            var statistics = inbox.statistics
            statistics.waiting += inbox.submissions.reduce(0) { $0 + $1.request.sampleCount }
            statistics.failure = inbox.failure?.message
            if inbox.hasWork || !inbox.submissions.isEmpty {
                let elapsed = ContinuousClock.now - inbox.progress
                statistics.secondsSinceProgress = elapsed / .seconds(1)
            }
            return statistics
        }
    }

    /// Takes no more requests, lets those here end until the deadline, aborts the rest, and ends the thread.
    package func shutdown(deadline: Duration) async {
        inbox.withLock { $0.accepts = false }
        let end = ContinuousClock.now + deadline
        while ContinuousClock.now < end, inbox.withLock(\.isBusy) {
            try? await Task.sleep(for: .milliseconds(10))
            if Task.isCancelled { break }
        }
        inbox.withLock { $0.stops = true }
        doorbell.signal()
        await withCheckedContinuation { continuation in
            let ended = inbox.withLock { inbox in
                if !inbox.ended { inbox.waiters.append(continuation) }
                return inbox.ended
            }
            if ended { continuation.resume() }
        }
    }

    /// Aborts everything and ends the thread, without waiting for it.
    package func stop() {
        inbox.withLock {
            $0.accepts = false
            $0.stops = true
        }
        doorbell.signal()
    }

    private func run(_ loop: StepLoop) {
        var failure: EngineError?
        while true {
            let (submissions, stops) = inbox.withLock { inbox in
                // They count as waiting at every moment, or the queue's bound would leak.
                inbox.statistics.waiting += inbox.submissions.reduce(0) { $0 + $1.request.sampleCount }
                inbox.hasWork = inbox.hasWork || !inbox.submissions.isEmpty
                defer { inbox.submissions = [] }
                return (inbox.submissions, inbox.stops)
            }
            for submission in submissions {
                if let failure { submission.sink.fail(failure) } else { loop.add(submission) }
            }
            if stops {
                loop.abort { _ in true }
                break
            }
            if failure == nil, !loop.isIdle {
                do {
                    try loop.step()
                } catch {
                    let stopped = EngineError(.unavailable, "The engine failed and stopped: \(error.message)")
                    failure = stopped
                    loop.fail(stopped)
                }
            }
            publishStatistics(loop, failure: failure)
            if loop.isIdle {
                doorbell.wait()
            } else if loop.isBlocked {
                // Its grammars ring when they are compiled; deadlines do not.
                _ = doorbell.wait(timeout: .now() + .milliseconds(20))
            }
        }
        publishStatistics(loop, failure: failure)
        let (waiters, orphans) = inbox.withLock { inbox in
            inbox.ended = true
            defer { inbox.submissions = [] }
            return (inbox.waiters, inbox.submissions)
        }
        // They end as those do that ran.
        for orphan in orphans {
            orphan.sink.publish([.init(sample: orphan.request.sampleIndex, event: .finished(.abort))])
        }
        for waiter in waiters { waiter.resume() }
    }

    private func publishStatistics(_ loop: StepLoop, failure: EngineError?) {
        let statistics = loop.refreshStatistics()
        let hasWork = !loop.isIdle
        inbox.withLock { inbox in
            inbox.statistics = statistics
            inbox.hasWork = hasWork
            inbox.progress = .now
            inbox.failure = failure
        }
        stepEnded()
    }
}
