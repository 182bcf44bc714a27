internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import MartinetAPI
internal import MartinetFleet
internal import MartinetTelemetry
internal import MartinetUpstreams
internal import MartinetWebSocketHTTP
internal import NIOCore
internal import Synchronization

/// Sends requests on to pools of other servers and hands their answers through.
struct UpstreamForwarder: Sendable {
    let state: ServerState
    let metrics: ServerMetrics
    let logger: Logger

    /// An answer of the pool, whole or as a stream.
    ///
    /// - Throws: ``APIError`` as the client is to see it.
    func forward(
        _ body: UpstreamRequestBody, of request: Request, hints: RequestHints, to pool: UpstreamPool,
        context: MartinetContext
    ) async throws -> Response {
        try state.beginGeneration()
        let record = ForwardingRecord(metrics: metrics, context: context)
        let lease = Lease { [state, logger] isWritten in
            state.endGeneration()
            guard !isWritten else { return }
            record.finish(.disconnect, nil)
            context.record.write(to: logger)
        }
        var forwarded = request.headers.map { (name: $0.name.rawName, value: $0.value) }
        if forwarded.allSatisfy({ $0.name.lowercased() != "x-request-id" }) {
            forwarded.append((name: "X-Request-Id", value: context.record.requestID))
        }
        let upstreamRequest = UpstreamRequest(
            body, headers: forwarded, deadline: hints.deadline, key: RoutingKey(session: hints.session),
            cost: Self.cost(of: body), isInteractive: body.isStream)
        let departure = Departure(context)
        defer { departure.forget() }
        let response: UpstreamResponse
        do {
            response = try await departure.cancelling { try await pool.send(upstreamRequest) }
        } catch {
            lease.markWritten()
            let error = (error as? UpstreamError)?.apiError ?? APIError(status: 499, "The client left.")
            record.finish(error.status == 499 ? .disconnect : .failure, nil)
            throw error
        }
        var headers = HTTPFields()
        for header in response.headers {
            if let name = HTTPField.Name(header.name) { headers[name] = header.value }
        }
        switch response.body {
        case .bytes(let bytes):
            lease.markWritten()
            record.finish(.success, response.record)
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: bytes))
        case .events(let events):
            // Proxies such as nginx must not collect the stream.
            if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
            return Response(
                status: .ok, headers: headers,
                body: ResponseBody { writer in
                    lease.markWritten()
                    var outcome = ServerMetrics.Outcome.disconnect
                    defer {
                        record.finish(outcome, response.record)
                        context.record.write(to: logger)
                    }
                    let departure = Departure(context)
                    defer { departure.forget() }
                    while let events = await departure.cancelling({ await Self.next(of: events) }) {
                        record.markFirst()
                        try await writer.write(events)
                    }
                    guard response.record.figures.isComplete else { return }
                    outcome = response.record.figures.error == nil ? .success : .failure
                    try await writer.finish(nil)
                    withExtendedLifetime(lease) {}
                })
        }
    }

    /// About how many bytes of a body make a token.
    static let bytesPerToken = 4

    /// Tokens that a request will take, as well as its size tells.
    private static func cost(of body: UpstreamRequestBody) -> Int {
        let usualOutput = 256
        return body.bytes.readableBytes / Self.bytesPerToken + min(body.maxTokens ?? usualOutput, 1 << 20)
    }

    private static func next(of events: UpstreamEvents) async -> ByteBuffer? {
        var iterator = events.makeAsyncIterator()
        return await iterator.next()
    }
}

/// Ends what is done for a client when the client leaves.
private final class Departure: Sendable {
    private struct State {
        var hasLeft = false
        var cancel: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())
    private let monitor: ConnectionMonitor?
    private let observer = Mutex<Int?>(nil)

    init(_ context: MartinetContext) {
        monitor = context.connection?.monitor
        guard let monitor else { return }
        let id = monitor.onClose { [weak self] in
            guard let self else { return }
            let cancel = state.withLock { state in
                state.hasLeft = true
                return state.cancel
            }
            cancel?()
        }
        observer.withLock { $0 = id }
    }

    func forget() {
        if let id = observer.withLock(\.self) { monitor?.remove(id) }
    }

    /// Runs something that is cancelled when the client leaves.
    func cancelling<Value: Sendable, Failure: Error>(
        _ action: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let task = Task { () async -> Result<Value, Failure> in
            do throws(Failure) {
                return .success(try await action())
            } catch {
                return .failure(error)
            }
        }
        let hasLeft = state.withLock { state in
            state.cancel = { task.cancel() }
            return state.hasLeft
        }
        if hasLeft { task.cancel() }
        return try await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }.get()
    }
}

/// Puts the figures of a forwarded request into metrics and log, once.
private final class ForwardingRecord: Sendable {
    private let metrics: ServerMetrics
    private let context: MartinetContext
    private let start = ContinuousClock.now
    private let state = Mutex<(first: Double?, isFinished: Bool)>((nil, false))

    init(metrics: ServerMetrics, context: MartinetContext) {
        self.metrics = metrics
        self.context = context
        if !context.record.isShadow { metrics.requests.increment() }
    }

    private var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

    func markFirst() {
        state.withLock { if $0.first == nil { $0.first = seconds } }
    }

    func finish(_ outcome: ServerMetrics.Outcome, _ record: UpstreamRecord?) {
        let (first, isFirst) = state.withLock { state in
            defer { state.isFinished = true }
            return (state.first, !state.isFinished)
        }
        guard isFirst, !context.record.isShadow else { return }
        switch outcome {
        case .success: metrics.successes.increment()
        case .failure: metrics.failures.increment()
        case .disconnect:
            metrics.failures.increment()
            metrics.disconnects.increment()
        }
        metrics.latency.observe(seconds)
        let figures = record?.figures
        context.record.update { facts in
            facts.upstreams = figures?.members ?? []
            if let figures {
                var usage = Usage()
                usage.promptTokens = figures.promptTokens ?? 0
                usage.completionTokens = figures.completionTokens
                facts.usage = usage
            }
            facts.firstTokenSeconds = first
            facts.outcome = outcome.rawValue
        }
    }
}
