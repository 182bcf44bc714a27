internal import Synchronization

/// Runs sequences of tokens: the engine of this process, a worker process, or a pool of workers.
package protocol SequenceEngine: Sendable {
    /// The bounds that requests are checked against.
    var limits: SequenceLimits { get }

    /// Takes a request; its events go to `sink`.
    ///
    /// - Returns: what cancels it.
    /// - Throws: ``EngineError`` where the request is invalid, the queue is full, or nothing runs that could take it.
    func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket

    /// Figures of this moment.
    func statistics() -> EngineStatistics

    /// Takes no more requests, lets those here end until the deadline, aborts the rest, and ends.
    func shutdown(deadline: Duration) async

    /// Aborts everything and ends, without waiting for it.
    func stop()
}

/// The bounds that requests are checked against.
package struct SequenceLimits: Sendable, Hashable {
    /// Longest sequence, prompt and output together.
    package var maxModelLength: Int
    /// Most sequences that may wait.
    package var maxWaiting: Int
    /// Ids in the vocabulary.
    package var vocabularySize: Int

    /// Describes bounds.
    package init(maxModelLength: Int, maxWaiting: Int, vocabularySize: Int) {
        self.maxModelLength = maxModelLength
        self.maxWaiting = maxWaiting
        self.vocabularySize = vocabularySize
    }
}

/// An event of one of a request's samples.
package struct SequenceEvent: Sendable {
    /// Which sample.
    package var sample: Int
    /// What happened.
    package var event: TokenEvent

    /// Describes an event.
    package init(sample: Int, event: TokenEvent) {
        self.sample = sample
        self.event = event
    }
}

/// Where a request's events go. Called from one thread at a time.
package protocol SequenceSink: AnyObject, Sendable {
    /// Takes events, in order.
    func publish(_ events: [SequenceEvent])
    /// Takes the error that ends the request, after what was published; nothing follows.
    func fail(_ error: EngineError)
}

/// The hold on a request: cancels it, or samples of it.
package final class SequenceTicket: Sendable {
    private struct State {
        var isCancelled = false
        var samples: Set<Int> = []
    }

    private let state = Mutex(State())
    private let onCancel: @Sendable (_ sample: Int?) -> Void

    /// Makes a ticket.
    ///
    /// - Parameter onCancel: runs at each cancellation, with the sample or `nil` for all.
    package init(onCancel: @escaping @Sendable (_ sample: Int?) -> Void) {
        self.onCancel = onCancel
    }

    /// Says that nobody reads the request's events any more.
    package func cancel() {
        let isFirst = state.withLock { state in
            defer { state.isCancelled = true }
            return !state.isCancelled
        }
        if isFirst { onCancel(nil) }
    }

    /// Says that nobody reads a sample's events any more, while others go on.
    package func cancel(sample: Int) {
        let isFirst = state.withLock { $0.samples.insert(sample).inserted }
        if isFirst { onCancel(sample) }
    }

    /// Whether nobody reads a sample's events any more.
    package func isCancelled(sample: Int) -> Bool {
        state.withLock { $0.isCancelled || $0.samples.contains(sample) }
    }
}
