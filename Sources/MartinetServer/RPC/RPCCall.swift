internal import GRPCCore
internal import Logging
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetWebSocketHTTP
internal import MartinetWorkerProtocol

/// One call over gRPC: what its metadata says, and whether its client is still there.
struct RPCCall: Sendable {
    let record = RequestRecord()
    let monitor = ConnectionMonitor()
    let hints: RequestHints
    private let method: MethodDescriptor
    private let unreadableTimeout: String?

    /// - Parameter sessionKey: the metadata key that names the conversation.
    init(_ metadata: Metadata, method: MethodDescriptor, sessionKey: String) {
        func value(_ key: String) -> String? { metadata[stringValues: key].first { _ in true } }
        hints = RequestHints(
            // Longer than eleven days is as good as for ever.
            deadline: metadata.timeout.map { .now + min($0, .seconds(1_000_000)) },
            session: value(sessionKey).flatMap { (1...1024).contains($0.utf8.count) ? $0 : nil })
        unreadableTimeout = value(Metadata.unreadableTimeoutKey)
        self.method = method
        let id = RequestMiddleware.requestID(value("x-request-id"))
        record.update { facts in
            facts.requestID = id
            facts.method = "gRPC"
            facts.path = "/\(method.service.fullyQualifiedService)/\(method.method)"
        }
    }

    var caller: GenerationRunner.Caller { GenerationRunner.Caller(record: record, monitor: monitor) }

    /// What goes back with every answer and every error.
    var metadata: Metadata { ["x-request-id": .string(record.requestID)] }

    /// Whether the client has stopped waiting, or is about to: the library's timer, which ends a call, began before ours.
    var isOverdue: Bool { hints.deadline.map { $0 <= .now + .milliseconds(100) } ?? false }

    func id(_ prefix: String) -> String { prefix + record.requestID }

    func check() throws(APIError) {
        guard let text = unreadableTimeout else { return }
        throw .invalid(
            "grpc-timeout",
            "`grpc-timeout` must be 1 to 8 digits and one of H, M, S, m, u, n, got `\(text.prefix(32))`.")
    }
}

/// Stands around every call: request ids, cancellation, errors in gRPC's shape, metrics, the request log.
struct RPCCalls: Sendable {
    let metrics: RPCMetrics
    let sessionKey: String
    let logger: Logger

    /// Answers with one message.
    func unary<Input, Output>(
        _ request: ServerRequest<Input>, _ context: ServerContext,
        _ answer: (Input, RPCCall) async throws -> Output
    ) async throws -> ServerResponse<Output> {
        let call = RPCCall(request.metadata, method: context.descriptor, sessionKey: sessionKey)
        let message = try await run(call, context) { try await answer(request.message, call) }
        return ServerResponse(message: message, metadata: call.metadata)
    }

    /// Answers with a stream; a message waits while the client does not read.
    func stream<Input: Sendable, Output>(
        _ request: ServerRequest<Input>, _ context: ServerContext,
        _ answer: @escaping @Sendable (Input, RPCCall, RPCWriter<Output>) async throws -> Void
    ) -> StreamingServerResponse<Output> {
        let call = RPCCall(request.metadata, method: context.descriptor, sessionKey: sessionKey)
        let message = request.message
        return StreamingServerResponse(metadata: call.metadata) { writer in
            try await run(call, context) { try await answer(message, call, writer) }
            return [:]
        }
    }

    private func run<Value>(
        _ call: RPCCall, _ context: ServerContext, _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            // A client that leaves, or a deadline that passes, does not cancel the task: it is told here.
            let value = try await withRPCCancellationHandler {
                try call.check()
                return try await body()
            } onCancelRPC: {
                call.monitor.close()
            }
            finish(call, context, .ok)
            return value
        } catch {
            let failure = RPCError(error, of: call)
            if failure.code == .internalError {
                logger.error(
                    "call failed", metadata: ["request_id": "\(call.record.requestID)", "error": "\(error)"])
            }
            finish(call, context, Status.Code(failure.code))
            throw failure
        }
    }

    private func finish(_ call: RPCCall, _ context: ServerContext, _ code: Status.Code) {
        metrics.handled(context.descriptor, code, seconds: call.record.seconds)
        call.record.update { $0.status = code.rawValue }
        call.record.write(to: logger)
    }
}
