internal import MartinetEngine
internal import Synchronization

/// Reads the streams of a request's prompts side by side and hands over what is ready.
///
/// It reads in tasks of its own, so that a client's departure can end them while the writer waits for the socket. What
/// waits here is bounded by the tokens that the requests may generate.
final class EventMerger: Sendable {
    typealias Events = any AsyncSequence<[InferenceEvent], EngineError> & Sendable
    typealias Batch = [(prompt: Int, events: [InferenceEvent])]

    private struct State {
        var ready: Batch = []
        var running: Int
        var failure: EngineError?
        var isCancelled = false
        var isNudged = false
        var waiter: CheckedContinuation<Void, Never>?
        var waitingSince = ContinuousClock.now
    }

    private let state: Mutex<State>
    private let tasks = Mutex<[Task<Void, Never>]>([])

    init(_ streams: [Events]) {
        state = Mutex(State(running: streams.count))
        let started = streams.enumerated().map { index, stream in
            Task { [self] in
                do throws(EngineError) {
                    try await read(stream, prompt: index)
                    end(nil)
                } catch {
                    end(error)
                }
            }
        }
        tasks.withLock { $0 = started }
    }

    private func read(_ stream: Events, prompt: Int) async throws(EngineError) {
        var iterator = stream.makeAsyncIterator()
        while let events = try await iterator.next(isolation: nil) {
            wake { $0.ready.append((prompt: prompt, events: events)) }
        }
    }

    private func end(_ error: EngineError?) {
        wake { state in
            state.running -= 1
            if let error, state.failure == nil { state.failure = error }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Whether ``cancel()`` was called.
    var isCancelled: Bool { state.withLock(\.isCancelled) }

    /// Ends the requests; ``next()`` gives `nil` from now on.
    func cancel() {
        wake { $0.isCancelled = true }
        for task in tasks.withLock(\.self) { task.cancel() }
    }

    /// Lets ``next()`` return with nothing where it has waited for a span; returns when to look again.
    func nudge(after silence: Duration) -> Duration {
        let now = ContinuousClock.now
        let (waiter, rest): (CheckedContinuation<Void, Never>?, Duration) = state.withLock { state in
            guard state.waiter != nil else { return (nil, silence) }
            let waited = now - state.waitingSince
            guard waited >= silence else { return (nil, silence - waited) }
            state.isNudged = true
            defer { state.waiter = nil }
            return (state.waiter, silence)
        }
        waiter?.resume()
        return rest
    }

    /// All that is ready, waiting for the first; empty after ``nudge(after:)``, `nil` after the last stream ended or
    /// ``cancel()``.
    func next() async throws(EngineError) -> Batch? {
        while true {
            let (batch, isOver, failure, isNudged): (Batch, Bool, EngineError?, Bool) = state.withLock { state in
                if state.isCancelled { return ([], true, nil, false) }
                defer {
                    state.ready = []
                    state.isNudged = false
                }
                return (state.ready, state.running == 0, state.failure, state.isNudged)
            }
            if !batch.isEmpty { return batch }
            if let failure { throw failure }
            if isOver { return nil }
            if isNudged { return [] }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if state.isCancelled || !state.ready.isEmpty || state.running == 0 || state.failure != nil {
                            return true
                        }
                        state.waiter = continuation
                        state.waitingSince = .now
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                cancel()
            }
        }
    }
}
