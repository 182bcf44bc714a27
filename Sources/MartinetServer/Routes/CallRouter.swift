internal import Dispatch
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry
internal import MartinetUpstreams
internal import NIOCore

/// Takes the requests of every surface that generates: reads the body, finds the model, decodes, calls.
struct CallRouter: Sendable {
    let directory: ModelDirectory
    let runner: GenerationRunner
    let dispatcher: RequestDispatcher
    let maxBodyBytes: Int
    let sessionHeader: HTTPField.Name
    /// Whether requests with fields that nothing here knows are refused.
    let isStrict: Bool
    /// How much of a body is read past the limit.
    private static let droppedBodyBytes = 256 << 20
    /// Bodies up to this size are decoded where they arrive: that takes less time than a change of threads is worth.
    private static let smallBodyBytes = 32 << 10

    /// A request and the model that routing chose for it.
    struct Call: Sendable {
        let body: JSONBody
        let target: Deployment
        let hints: RequestHints
        let context: MartinetContext
        /// Whether somebody else can answer, as long as nothing was sent.
        var mayFail = false

        var model: ServedModel { target.model }

        func id(_ prefix: String) -> String { prefix + context.record.requestID }
    }

    /// What is left to do for a request that has been decoded for a model.
    typealias Answer = @Sendable () async throws -> Response
    /// Decodes a request for a model.
    typealias Decoding = @Sendable (Call) throws -> Answer

    /// Adds a route that decodes a JSON body for a model and answers.
    func post(_ path: String, on router: Router<MartinetContext>, _ decoding: @escaping Decoding) {
        router.post(RouterPath(path)) { request, context in
            let hints = try RequestHints(request.headers, sessionHeader: sessionHeader)
            let bytes = try await body(of: request)
            guard directory.routes else {
                let answer = try await aside(bytes.readableBytes) {
                    let body = try JSONBody(Array(bytes.readableBytesView), isStrict: isStrict)
                    let target = try directory.deployment(named: body.model())
                    return try decoding(Call(body: body, target: target, hints: hints, context: context))
                }
                return try await answer()
            }
            // What goes to another server is looked at and sent on as it is; only what is answered here is decoded.
            let body = try await aside(bytes.readableBytes) {
                try UpstreamRequestBody(path: "/" + path, bytes: bytes)
            }
            let inbound = RequestDispatcher.Inbound(body: body, request: request, hints: hints, context: context)
            return try await dispatcher.answer(inbound) { target, context, mayFail in
                let answer = try await aside(bytes.readableBytes) {
                    // A rule may give a request to a model of another name.
                    let body = try JSONBody(Array(bytes.readableBytesView), isStrict: isStrict)
                    var target = target
                    if let name = try body.model(), !target.model.names.contains(name) {
                        target.model.names.append(name)
                    }
                    return try decoding(
                        Call(body: body, target: target, hints: hints, context: context, mayFail: mayFail))
                }
                return try await answer()
            }
        }
    }

    /// A stream of events as the answer.
    func stream(
        _ requests: [InferenceRequest], _ encoding: some StreamEncoding, _ call: Call
    ) async throws -> Response {
        try await runner.stream(
            requests, on: call.target, encoding: encoding, waitsForFirst: call.mayFail, context: call.context)
    }

    /// What a request that came to its end brought, for all its prompts.
    func collect(_ requests: [InferenceRequest], _ call: Call) async throws -> [InferenceResult] {
        try await runner.collect(requests, on: call.target, context: call.context)
    }

    /// Does work on a body. Parsing and tokenising a large one takes seconds, which must not be those of the few threads
    /// that serve all connections, health probes among them.
    func aside<Value: Sendable>(
        _ byteCount: Int, _ action: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        guard byteCount > Self.smallBodyBytes else { return try action() }
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(with: Result { try action() }) }
        }
    }

    /// The whole body. Only JSON is taken: what a page of another origin can send without asking, a form or plain text,
    /// must not run here.
    private func body(of request: Request) async throws -> ByteBuffer {
        if let type = request.headers[.contentType] {
            let essence = type.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
            guard essence == "application/json" || essence.hasSuffix("+json") else {
                throw APIError(
                    status: 415, "The content type must be application/json, got \(essence.prefix(128)).",
                    code: "unsupported_media_type")
            }
        }
        // The rest of a body that is too large is read and dropped, within bounds: a client that is still sending
        // would not read the answer.
        let announced = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        var bytes = ByteBuffer()
        var count = 0
        do {
            for try await part in request.body {
                count += part.readableBytes
                if max(count, announced) <= maxBodyBytes {
                    if bytes.readableBytes == 0 { bytes = part } else { bytes.writeImmutableBuffer(part) }
                } else {
                    bytes = ByteBuffer()
                    if count > maxBodyBytes + Self.droppedBodyBytes { break }
                }
            }
        } catch {
            // The client left or broke HTTP's rules: its fault, not this server's.
            throw APIError(
                status: 400, "The body broke off or is not valid HTTP: \(error).", code: "invalid_body")
        }
        guard max(count, announced) <= maxBodyBytes else {
            throw APIError(
                status: 413, "The body must have at most \(maxBodyBytes) bytes.", code: "request_too_large")
        }
        return bytes
    }

    /// An answer of JSON.
    static func json(_ body: [UInt8]) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
