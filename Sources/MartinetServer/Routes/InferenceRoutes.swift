internal import Dispatch
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry
internal import NIOCore

/// The routes that generate, and those that count tokens: decode, call, encode.
struct InferenceRoutes: Sendable {
    let directory: ModelDirectory
    let runner: GenerationRunner
    let maxBodyBytes: Int
    let sessionHeader: HTTPField.Name
    /// How much of a body is read past the limit.
    private static let droppedBodyBytes = 256 << 20
    /// Bodies up to this size are decoded where they arrive: that takes less time than a change of threads is worth.
    private static let smallBodyBytes = 32 << 10

    func add(to router: Router<MartinetContext>) {
        post("generate", on: router, generate)
        post("generate_batch", on: router, generateBatch)
        post("v1/completions", on: router, completions)
        post("v1/chat/completions", on: router, chat)
        post("tokenize", on: router) { call in
            let answer = try TokenizeRequest(call.body, model: call.model).body(
                model: call.model, service: call.target.service)
            return { Self.json(answer) }
        }
        post("detokenize", on: router) { call in
            let answer = try DetokenizeRequest(call.body, model: call.model).body(model: call.model)
            return { Self.json(answer) }
        }
        router.get("v1/models") { _, _ in Self.json(ModelList.body(directory.all.map(\.model))) }
        // Names may hold slashes.
        router.get("v1/models/**") { _, context in
            let path = context.parameters.getCatchAll().joined(separator: "/")
            let name = path.removingPercentEncoding ?? path
            return Self.json(ModelList.body(try directory.deployment(named: name).model, name: name))
        }
    }

    /// A request and the model that routing chose for it.
    private struct Call: Sendable {
        let body: JSONBody
        let target: Deployment
        let hints: RequestHints
        let context: MartinetContext

        var model: ServedModel { target.model }

        func id(_ prefix: String) -> String { prefix + context.record.requestID }
    }

    /// What is left to do for a request that has been decoded for a model.
    private typealias Answer = @Sendable () async throws -> Response
    /// Decodes a request for a model.
    private typealias Decoding = @Sendable (Call) throws -> Answer

    private func post(_ path: String, on router: Router<MartinetContext>, _ decoding: @escaping Decoding) {
        router.post(RouterPath(path)) { request, context in
            let hints = try RequestHints(request.headers, sessionHeader: sessionHeader)
            let bytes = try await body(of: request)
            let answer = try await decode(bytes) { [directory] in
                let body = try JSONBody(bytes)
                let target = try directory.deployment(named: body.model())
                return try decoding(Call(body: body, target: target, hints: hints, context: context))
            }
            return try await answer()
        }
    }

    @Sendable private func generate(_ call: Call) throws -> Answer {
        let id = call.id("gen-")
        let decoded = try GenerateRequest.single(call.body, model: call.model)
        let requests = call.hints.applied(to: try decoded.requests(id: id, model: call.model))
        let answer = GenerateAnswer(id: id, request: decoded, model: call.model)
        return {
            if decoded.stream { return try stream(requests, answer, call) }
            return Self.json(answer.body(try await collect(requests, call)))
        }
    }

    @Sendable private func generateBatch(_ call: Call) throws -> Answer {
        let id = call.id("gen-")
        let decoded = try GenerateRequest.batch(call.body, model: call.model)
        let requests = call.hints.applied(to: try decoded.requests(id: id, model: call.model))
        let answer = GenerateAnswer(id: id, request: decoded, model: call.model)
        return { Self.json(answer.body(try await collect(requests, call))) }
    }

    @Sendable private func completions(_ call: Call) throws -> Answer {
        let id = call.id("cmpl-")
        let decoded = try CompletionRequest(call.body, model: call.model)
        let requests = call.hints.applied(to: try decoded.requests(id: id, model: call.model))
        let answer = CompletionAnswer(
            id: id, created: Int(ProcessFigures.now), request: decoded, prompts: requests.map(\.prompt),
            model: call.model)
        return {
            if decoded.streaming.stream { return try stream(requests, answer, call) }
            return Self.json(answer.body(try await collect(requests, call)))
        }
    }

    @Sendable private func chat(_ call: Call) throws -> Answer {
        let id = call.id("chatcmpl-")
        let decoded = try ChatRequest(call.body, model: call.model)
        let requests = call.hints.applied(
            to: [try decoded.request(id: id, model: call.model, service: call.target.service)])
        let answer = ChatAnswer(id: id, created: Int(ProcessFigures.now), request: decoded, model: call.model)
        return {
            if decoded.streaming.stream { return try stream(requests, answer, call) }
            let results = try await collect(requests, call)
            return Self.json(answer.body(results[0], prompt: requests[0].prompt))
        }
    }

    private func stream(
        _ requests: [InferenceRequest], _ encoding: some StreamEncoding, _ call: Call
    ) throws -> Response {
        try runner.stream(requests, on: call.target, encoding: encoding, context: call.context)
    }

    private func collect(_ requests: [InferenceRequest], _ call: Call) async throws -> [InferenceResult] {
        try await runner.collect(requests, on: call.target, context: call.context)
    }

    /// Decodes a body. Parsing and tokenising a large one takes seconds, which must not be those of the few threads
    /// that serve all connections, health probes among them.
    private func decode<Value: Sendable>(
        _ bytes: [UInt8], _ action: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        guard bytes.count > Self.smallBodyBytes else { return try action() }
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(with: Result { try action() }) }
        }
    }

    /// The whole body. Only JSON is taken: what a page of another origin can send without asking, a form or plain text,
    /// must not run here.
    private func body(of request: Request) async throws -> [UInt8] {
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
        var bytes: [UInt8] = []
        var count = 0
        do {
            for try await part in request.body {
                count += part.readableBytes
                if max(count, announced) <= maxBodyBytes {
                    bytes += part.readableBytesView
                } else {
                    bytes = []
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

    static func json(_ body: [UInt8]) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}
