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
        post("generate", on: router, generate)
        post("generate_batch", on: router, generateBatch)
        post("v1/completions", on: router, completions)
        post("v1/chat/completions", on: router, chat)
        post("tokenize", on: router) { body, target, _ in
            let answer = try TokenizeRequest(body, model: target.model).body(
                model: target.model, service: target.service)
            return { Self.json(answer) }
        }
        post("detokenize", on: router) { body, target, _ in
            let answer = try DetokenizeRequest(body, model: target.model).body(model: target.model)
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

    /// What is left to do for a request that has been decoded for a model.
    private typealias Answer = @Sendable () async throws -> Response
    /// Decodes a request for a model.
    private typealias Decoding = @Sendable (JSONBody, Deployment, MartinetContext) throws -> Answer

    private func post(_ path: String, on router: Router<MartinetContext>, _ decoding: @escaping Decoding) {
        router.post(RouterPath(path)) { request, context in
            let bytes = try await body(of: request)
            let answer = try await decode(bytes) { [directory] in
                let body = try JSONBody(bytes)
                return try decoding(body, directory.deployment(named: body.model()), context)
            }
            return try await answer()
        }
    }

    @Sendable private func generate(
        _ body: JSONBody, _ target: Deployment, context: MartinetContext
    ) throws -> Answer {
        let id = "gen-" + context.record.requestID
        let decoded = try GenerateRequest.single(body, model: target.model)
        let requests = try decoded.requests(id: id, model: target.model)
        let answer = GenerateAnswer(id: id, request: decoded, model: target.model)
        return {
            if decoded.stream { return try runner.stream(requests, on: target, encoding: answer, context: context) }
            return Self.json(answer.body(try await runner.collect(requests, on: target, context: context)))
        }
    }

    @Sendable private func generateBatch(
        _ body: JSONBody, _ target: Deployment, context: MartinetContext
    ) throws -> Answer {
        let id = "gen-" + context.record.requestID
        let decoded = try GenerateRequest.batch(body, model: target.model)
        let requests = try decoded.requests(id: id, model: target.model)
        let answer = GenerateAnswer(id: id, request: decoded, model: target.model)
        return { Self.json(answer.body(try await runner.collect(requests, on: target, context: context))) }
    }

    @Sendable private func completions(
        _ body: JSONBody, _ target: Deployment, context: MartinetContext
    ) throws -> Answer {
        let id = "cmpl-" + context.record.requestID
        let decoded = try CompletionRequest(body, model: target.model)
        let requests = try decoded.requests(id: id, model: target.model)
        let answer = CompletionAnswer(
            id: id, created: Int(ProcessFigures.now), request: decoded, prompts: requests.map(\.prompt),
            model: target.model)
        return {
            if decoded.streaming.stream {
                return try runner.stream(requests, on: target, encoding: answer, context: context)
            }
            return Self.json(answer.body(try await runner.collect(requests, on: target, context: context)))
        }
    }

    @Sendable private func chat(_ body: JSONBody, _ target: Deployment, context: MartinetContext) throws -> Answer {
        let id = "chatcmpl-" + context.record.requestID
        let decoded = try ChatRequest(body, model: target.model)
        let inference = try decoded.request(id: id, model: target.model, service: target.service)
        let answer = ChatAnswer(id: id, created: Int(ProcessFigures.now), request: decoded, model: target.model)
        return {
            if decoded.streaming.stream {
                return try runner.stream([inference], on: target, encoding: answer, context: context)
            }
            let results = try await runner.collect([inference], on: target, context: context)
            return Self.json(answer.body(results[0], prompt: inference.prompt))
        }
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
