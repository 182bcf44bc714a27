internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// One request on the wire and its answer: what has arrived and was not read yet.
///
/// The connection is read no further while more than ``Limits/window`` bytes wait here, so a slow reader holds the
/// upstream back. A timer runs only while the reader waits.
final class Exchange: HTTPClientResponseDelegate, Sendable {
    typealias Response = Void

    /// What an answer may take.
    struct Limits: Sendable {
        /// Bytes that may wait for the reader of a stream.
        var window = 64 << 10
        /// Most bytes of an answer that is read as a whole.
        var maxAnswerBytes: Int
        /// Most bytes of the head.
        var maxHeadBytes: Int
    }

    /// Why an exchange ended before the answer did.
    enum Failure: Error {
        /// The reader's time was up.
        case timeout
        case headTooLarge
        case bodyTooLarge
        case cancelled
    }

    private struct State {
        var head: HTTPResponseHead?
        var pending: ByteBuffer?
        var byteCount = 0
        /// Completed when the reader has taken what is pending.
        var demand: EventLoopPromise<Void>?
        var end: Result<Void, any Error>?
        var waiter: CheckedContinuation<Void, Never>?
        /// What the waiter waits for.
        var wanted = Wanted.head
        var task: HTTPClient.Task<Void>?
        /// When the reader's patience ends.
        var patience: NIODeadline?
        /// Looks after the reader's patience, or after what is left once the reader has gone.
        var timer: Scheduled<Void>?
        /// When the timer looks next.
        var timerDeadline: NIODeadline?
        /// Whether nobody reads any more and the rest is only awaited so that the connection can be used again.
        var isDraining = false
    }

    private enum Wanted {
        case head, bytes, end
    }

    private let limits: Limits
    /// Whether bytes are held back for a reader that takes them as they come.
    private let isStream: Bool
    private let state = Mutex(State())

    /// Sends a request.
    ///
    /// - Parameter deadline: when the whole exchange ends at the latest.
    init(
        _ request: HTTPClient.Request, with client: HTTPClient, isStream: Bool, limits: Limits, deadline: NIODeadline
    ) {
        self.limits = limits
        self.isStream = isStream
        let task = client.execute(request: request, delegate: self, deadline: deadline)
        let isOver = state.withLock { state in
            state.task = task
            return state.end != nil
        }
        if isOver { task.cancel() }
    }

    // MARK: What arrives

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        let size = head.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        if size > limits.maxHeadBytes {
            finish(.failure(Failure.headTooLarge))
            return task.eventLoop.makeFailedFuture(Failure.headTooLarge)
        }
        wake { state in
            state.head = head
            return state.wanted == .head
        }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        var demand: EventLoopFuture<Void>?
        var isTooLarge = false
        wake { state in
            guard state.end == nil, !state.isDraining else { return false }
            state.byteCount += buffer.readableBytes
            // Without a stream the whole answer is kept.
            isTooLarge = !isStream && state.byteCount > limits.maxAnswerBytes
            if isTooLarge { return false }
            if state.pending == nil {
                state.pending = buffer
            } else {
                state.pending?.writeImmutableBuffer(buffer)
            }
            if isStream, let waiting = state.pending?.readableBytes, waiting >= limits.window {
                let promise = state.demand ?? task.eventLoop.makePromise(of: Void.self)
                state.demand = promise
                demand = promise.futureResult
            }
            return state.wanted == .bytes
        }
        if isTooLarge {
            finish(.failure(Failure.bodyTooLarge))
            return task.eventLoop.makeFailedFuture(Failure.bodyTooLarge)
        }
        return demand ?? task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) { finish(.failure(error)) }

    func didFinishRequest(task: HTTPClient.Task<Void>) throws { finish(.success(())) }

    private func wake(_ change: (inout State) -> Bool) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard change(&state) else { return nil }
            state.patience = nil
            return state.waiter.take()
        }
        waiter?.resume()
    }

    private func finish(_ result: Result<Void, any Error>) {
        let (waiter, demand, timer) = state.withLock {
            state -> (CheckedContinuation<Void, Never>?, EventLoopPromise<Void>?, Scheduled<Void>?) in
            if state.end == nil { state.end = result }
            state.patience = nil
            return (state.waiter.take(), state.demand.take(), state.timer.take())
        }
        timer?.cancel()
        demand?.succeed()
        waiter?.resume()
    }

    /// Keeps the timer for as long as the exchange goes on.
    private func keep(_ timer: Scheduled<Void>) {
        let useless = state.withLock { state -> Scheduled<Void>? in
            guard state.end == nil else { return timer }
            defer { state.timer = timer }
            return state.timer
        }
        useless?.cancel()
    }

    // MARK: The reader

    /// Ends the exchange; the connection is closed unless the answer was whole.
    func cancel() {
        finish(.failure(Failure.cancelled))
        state.withLock { $0.task }?.cancel()
    }

    /// The reader has all that it wants. What is left, if it comes soon, is thrown away, and the connection is kept.
    func drain() {
        let (demand, task) = state.withLock { state -> (EventLoopPromise<Void>?, HTTPClient.Task<Void>?) in
            state.isDraining = true
            state.pending = nil
            return (state.demand.take(), state.end == nil ? state.task : nil)
        }
        demand?.succeed()
        guard let task else { return }
        keep(task.eventLoop.scheduleTask(in: .seconds(1)) { [weak self] in self?.cancel() })
    }

    /// The answer's head.
    func head(by patience: NIODeadline?) async throws -> HTTPResponseHead {
        while true {
            let step = state.withLock { state -> Result<HTTPResponseHead?, any Error> in
                if let head = state.head { return .success(head) }
                switch state.end {
                case .failure(let error)?: return .failure(error)
                case .success?: return .failure(HTTPClientError.remoteConnectionClosed)
                case nil: return .success(nil)
                }
            }
            if let head = try step.get() { return head }
            await wait(for: .head, by: patience)
        }
    }

    /// The next bytes of the body; `nil` at its end.
    func next(by patience: NIODeadline?) async throws -> ByteBuffer? {
        while true {
            var demand: EventLoopPromise<Void>?
            let step = state.withLock { state -> Result<ByteBuffer?, any Error>? in
                if let bytes = state.pending.take() {
                    demand = state.demand.take()
                    return .success(bytes)
                }
                return state.end.map { end in end.map { nil } }
            }
            demand?.succeed()
            if let step { return try step.get() }
            await wait(for: .bytes, by: patience)
        }
    }

    /// The whole answer of a request that is no stream.
    func whole() async throws -> (head: HTTPResponseHead, body: ByteBuffer) {
        while true {
            let step = state.withLock { state -> Result<(HTTPResponseHead, ByteBuffer)?, any Error> in
                switch state.end {
                case .failure(let error)?: .failure(error)
                case .success?:
                    state.head.map { .success(($0, state.pending ?? ByteBuffer())) }
                        ?? .failure(HTTPClientError.remoteConnectionClosed)
                case nil: .success(nil)
                }
            }
            if let answer = try step.get() { return answer }
            await wait(for: .end, by: nil)
        }
    }

    private func wait(for wanted: Wanted, by patience: NIODeadline?) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let (isReady, timer) = state.withLock { state -> (Bool, (any EventLoop)?) in
                    let isReady =
                        switch wanted {
                        case .head: state.head != nil
                        case .bytes: state.pending != nil
                        case .end: false
                        }
                    guard state.end == nil, !isReady else { return (true, nil) }
                    state.waiter = continuation
                    state.wanted = wanted
                    state.patience = patience
                    // A timer that rings before is early enough: it goes on until the patience ends.
                    guard let patience, let task = state.task, state.timerDeadline.map({ $0 > patience }) ?? true
                    else { return (false, nil) }
                    state.timerDeadline = patience
                    return (false, task.eventLoop)
                }
                if isReady { continuation.resume() }
                if let timer, let patience { schedule(patience, on: timer) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// One timer serves all waits of the exchange: it looks when it was meant to ring, and goes on if that has moved.
    private func schedule(_ deadline: NIODeadline, on loop: any EventLoop) {
        let timer = loop.scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            let next = state.withLock { state -> NIODeadline? in
                state.timerDeadline = state.end == nil ? state.patience : nil
                return state.timerDeadline
            }
            guard let next else { return }
            if next > .now() { return schedule(next, on: loop) }
            finish(.failure(Failure.timeout))
            state.withLock { $0.task }?.cancel()
        }
        keep(timer)
    }
}
