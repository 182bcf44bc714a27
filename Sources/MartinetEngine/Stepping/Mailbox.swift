internal import Synchronization

/// What an engine's thread hands to one consumer: everything that is ready is taken at once.
package final class Mailbox: SequenceSink {
    /// What the consumer finds.
    package enum Delivery: Sendable {
        /// Events, in order; never empty.
        case items([SequenceEvent])
        /// The engine failed; nothing follows.
        case failed(EngineError)
        /// The consumer closed the mailbox, or its task was cancelled.
        case closed
    }

    private struct State {
        var items: [SequenceEvent] = []
        var failure: EngineError?
        var closed = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    /// Adds events and wakes the consumer.
    package func publish(_ events: [SequenceEvent]) {
        wake { if !$0.closed { $0.items += events } }
    }

    /// Ends the stream with an error, after what was published.
    package func fail(_ error: EngineError) {
        wake { $0.failure = error }
    }

    /// Says that nobody reads any more.
    package func close() {
        wake { $0.closed = true }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            let waiter = state.waiter
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    /// All that is ready; waits for something. One consumer at a time.
    package func next() async -> Delivery {
        await withTaskCancellationHandler {
            while true {
                if let delivery = takeReady() { return delivery }
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if !state.items.isEmpty || state.failure != nil || state.closed { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            }
        } onCancel: {
            close()
        }
    }

    private func takeReady() -> Delivery? {
        state.withLock { state in
            if state.closed { return .closed }
            if !state.items.isEmpty {
                defer { state.items = [] }
                return .items(state.items)
            }
            return state.failure.map { .failed($0) }
        }
    }
}
