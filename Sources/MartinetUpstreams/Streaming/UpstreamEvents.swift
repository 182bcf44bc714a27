package import NIOCore
internal import MartinetAPI
internal import Synchronization

/// The server-sent events of a stream, whole events in each element, as they come.
///
/// Reading pulls: while nobody reads, at most a window of bytes waits and the upstream is held back. A stream that
/// breaks goes on at another member where that is allowed; otherwise its last events are an error in the surface's
/// shape. It ends without only when the reading task is cancelled. Leaving it unread ends the request.
package struct UpstreamEvents: AsyncSequence, Sendable {
    /// Whole events.
    package typealias Element = ByteBuffer
    /// Errors come as events.
    package typealias Failure = Never

    /// Reads the events.
    package struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let stream: UpstreamStream

        /// The next events.
        package mutating func next() async -> ByteBuffer? { await stream.next() }

        /// The next events.
        package mutating func next(isolation actor: isolated (any Actor)?) async -> ByteBuffer? { await stream.next() }
    }

    let stream: UpstreamStream

    /// There is one stream: a second iterator goes on where the first one stopped.
    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: stream) }
}

/// A stream and, after a break, the streams that continue it.
final class UpstreamStream: Sendable {
    private struct State {
        var open: Attempt.OpenStream
        var isOver = false
    }

    private let pool: UpstreamPool
    private let request: UpstreamRequest
    private let record: UpstreamRecord
    /// Empty while somebody reads.
    private let state: Mutex<State?>

    init(_ open: Attempt.OpenStream, pool: UpstreamPool, request: UpstreamRequest, record: UpstreamRecord) {
        self.pool = pool
        self.request = request
        self.record = record
        state = Mutex(State(open: open))
    }

    deinit {
        let state = state.withLock { $0.take() }
        guard let state, !state.isOver else { return }
        state.open.exchange.cancel()
        Self.settle(state.open, record)
    }

    func next() async -> ByteBuffer? {
        guard var state = state.withLock({ $0.take() }) else { return nil }
        let events = await step(&state)
        self.state.withLock { $0 = state }
        return events
    }

    private func step(_ state: inout State) async -> ByteBuffer? {
        guard !state.isOver else { return nil }
        if state.open.held.readableBytes > 0 {
            let held = state.open.held
            state.open.held = ByteBuffer()
            if state.open.filter.isDone { end(&state) }
            return held
        }
        while true {
            var failure: UpstreamError
            if let broken = state.open.filter.failure {
                failure = broken
            } else {
                switch await read(&state) {
                case .success(let events?): return events
                case .success(nil): return nil
                case .failure(let error): failure = error
                }
            }
            if failure.code == .cancelled {
                end(&state)
                return nil
            }
            if state.open.filter.isFinished {
                // The text is whole; only what stands behind it is lost.
                end(&state)
                return ByteBuffer(bytes: ServerSentEvents.done)
            }
            failure = state.open.lease.member.hidingKey(in: failure)
            state.open.lease.fail(failure)
            state.open.exchange.cancel()
            if let events = await resume(&state, after: failure) { return events }
            if state.isOver { return nil }
        }
    }

    /// Reads on; the end of the body is a success with nothing only where the stream may end there.
    private func read(_ state: inout State) async -> Result<ByteBuffer?, UpstreamError> {
        let member = state.open.lease.member
        let idle = member.client.configuration.idleTimeout
        do {
            while let chunk = try await state.open.exchange.next(by: .now() + TimeAmount(idle)) {
                let events = state.open.filter.take(chunk)
                if state.open.filter.isDone { end(&state) }
                if events.readableBytes > 0 { return .success(events) }
                if state.isOver { return .success(nil) }
                if let failure = state.open.filter.failure { return .failure(failure) }
            }
        } catch {
            var failure = member.error(error, deadline: request.deadline, waited: idle)
            if failure.code == .connectionFailed { failure.code = .brokenStream }
            if case Exchange.Failure.timeout = error { failure.code = .stalled }
            return .failure(failure)
        }
        let isKnown = request.body.kind != .other
        if state.open.filter.isFinished || (!isKnown && !state.open.filter.hasHalfEvent) {
            end(&state)
            return .success(isKnown ? ByteBuffer(bytes: ServerSentEvents.done) : nil)
        }
        return .failure(
            UpstreamError(
                .brokenStream, "Upstream \(member.id) ended the stream in the middle.", status: 502,
                isRetryable: true))
    }

    /// Goes on at another member, or says why not.
    private func resume(_ state: inout State, after failure: UpstreamError) async -> ByteBuffer? {
        var error = failure
        let continuation = state.open.filter.continuation
        if failure.isRetryable, continuation.obstacle == nil {
            guard let edits = continuation.edits(of: request.body) else {
                let output = state.open.filter.lengthEvent() + ServerSentEvents.done
                end(&state)
                return ByteBuffer(bytes: output)
            }
            do {
                state.open = try await pool.resume(
                    request, edits: edits, filter: state.open.filter, from: state.open.lease.member, record: record)
                let held = state.open.held
                state.open.held = ByteBuffer()
                if state.open.filter.isDone { end(&state) }
                return held.readableBytes > 0 ? held : nil
            } catch {
                end(&state)
                if error.code == .cancelled { return nil }
                return last(failure, because: error)
            }
        }
        if let obstacle = continuation.obstacle, failure.isRetryable {
            error.message += " The stream cannot go on elsewhere: \(obstacle)."
        }
        end(&state)
        return last(error, because: nil)
    }

    private func last(_ failure: UpstreamError, because cause: UpstreamError?) -> ByteBuffer {
        var failure = failure
        if let cause { failure.message += " The stream could not go on elsewhere: \(cause.message)" }
        record.update { $0.error = failure }
        pool.logBroken(failure)
        let shape = ErrorShape(path: request.body.path)
        let id = request.headers.first { $0.name.lowercased() == "x-request-id" }?.value ?? ""
        return ByteBuffer(bytes: shape.events(failure.apiError, requestID: id))
    }

    private func end(_ state: inout State) {
        guard !state.isOver else { return }
        state.isOver = true
        if state.open.filter.isDone { state.open.exchange.drain() } else { state.open.exchange.cancel() }
        Self.settle(state.open, record)
        record.update { $0.isComplete = true }
    }

    private static func settle(_ open: Attempt.OpenStream, _ record: UpstreamRecord) {
        let prompt = open.filter.promptTokens
        let tokens = open.filter.continuation.tokens
        open.lease.close(usage: UsageCounts(promptTokens: prompt ?? 0, completionTokens: tokens))
        record.update { figures in
            figures.promptTokens = prompt
            figures.completionTokens = tokens
        }
    }
}
