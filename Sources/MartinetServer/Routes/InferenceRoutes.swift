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
    /// How much of a body is read past the limit.
    private static let droppedBodyBytes = 256 << 20
    /// Bodies up to this size are decoded where they arrive: that takes less time than a change of threads is worth.
    private static let smallBodyBytes = 32 << 10

    func add(to router: Router<MartinetContext>) {
        router.post("generate", use: generate)
        router.post("generate_batch", use: generateBatch)
        router.post("v1/completions", use: completions)
        router.post("v1/chat/completions", use: chat)
        router.post("tokenize", use: tokenize)
        router.post("detokenize", use: detokenize)
        router.get("v1/models") { _, _ in Self.json(ModelList.body(directory.all.map(\.model))) }
        // Names may hold slashes.
        router.get("v1/models/**") { _, context in
            let path = context.parameters.getCatchAll().joined(separator: "/")
            let name = path.removingPercentEncoding ?? path
            return Self.json(ModelList.body(try directory.deployment(named: name).model, name: name))
        }
    }

    @Sendable private func generate(_ request: Request, context: MartinetContext) async throws -> Response {
        let id = "gen-" + context.record.requestID
        let (target, (decoded, requests)) = try await decode(request) { body, target in
            let decoded = try GenerateRequest.single(body, model: target.model)
            return (decoded, try decoded.requests(id: id, model: target.model))
        }
        let answer = GenerateAnswer(id: id, request: decoded, model: target.model)
        if decoded.stream { return try runner.stream(requests, on: target, encoding: answer, context: context) }
        return Self.json(answer.body(try await runner.collect(requests, on: target, context: context)))
    }

    @Sendable private func generateBatch(_ request: Request, context: MartinetContext) async throws -> Response {
        let id = "gen-" + context.record.requestID
        let (target, (decoded, requests)) = try await decode(request) { body, target in
            let decoded = try GenerateRequest.batch(body, model: target.model)
            return (decoded, try decoded.requests(id: id, model: target.model))
        }
        let answer = GenerateAnswer(id: id, request: decoded, model: target.model)
        return Self.json(answer.body(try await runner.collect(requests, on: target, context: context)))
    }

    @Sendable private func completions(_ request: Request, context: MartinetContext) async throws -> Response {
        let id = "cmpl-" + context.record.requestID
        let (target, (decoded, requests)) = try await decode(request) { body, target in
            let decoded = try CompletionRequest(body, model: target.model)
            return (decoded, try decoded.requests(id: id, model: target.model))
        }
        let answer = CompletionAnswer(
            id: id, created: Int(ProcessFigures.now), request: decoded, prompts: requests.map(\.prompt),
            model: target.model)
        if decoded.streaming.stream {
            return try runner.stream(requests, on: target, encoding: answer, context: context)
        }
        return Self.json(answer.body(try await runner.collect(requests, on: target, context: context)))
    }

    @Sendable private func chat(_ request: Request, context: MartinetContext) async throws -> Response {
        let id = "chatcmpl-" + context.record.requestID
        let (target, (decoded, inference)) = try await decode(request) { body, target in
            let decoded = try ChatRequest(body, model: target.model)
            return (decoded, try decoded.request(id: id, model: target.model, service: target.service))
        }
        let answer = ChatAnswer(id: id, created: Int(ProcessFigures.now), request: decoded, model: target.model)
        if decoded.streaming.stream {
            return try runner.stream([inference], on: target, encoding: answer, context: context)
        }
        let results = try await runner.collect([inference], on: target, context: context)
        return Self.json(answer.body(results[0], prompt: inference.prompt))
    }

    @Sendable private func tokenize(_ request: Request, context: MartinetContext) async throws -> Response {
        Self.json(
            try await decode(request) { body, target in
                try TokenizeRequest(body, model: target.model).body(model: target.model, service: target.service)
            }.value)
    }

    @Sendable private func detokenize(_ request: Request, context: MartinetContext) async throws -> Response {
        Self.json(
            try await decode(request) { body, target in
                try DetokenizeRequest(body, model: target.model).body(model: target.model)
            }.value)
    }

    /// Decodes a body. Parsing and tokenising a large one takes seconds, which must not be those of the few threads
    /// that serve all connections, health probes among them.
    private func decode<Value: Sendable>(
        _ request: Request, _ action: @escaping @Sendable (JSONBody, Deployment) throws -> Value
    ) async throws -> (target: Deployment, value: Value) {
        let bytes = try await body(of: request)
        let decode = { @Sendable [directory] () throws -> (target: Deployment, value: Value) in
            let body = try JSONBody(bytes)
            let target = try directory.deployment(named: body.model())
            return (target, try action(body, target))
        }
        guard bytes.count > Self.smallBodyBytes else { return try decode() }
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global(qos: .utility).async { continuation.resume(with: Result { try decode() }) }
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
