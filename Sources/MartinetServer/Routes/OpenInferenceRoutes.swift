internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import NIOCore

/// The Open Inference Protocol, version 2, in its REST form: health, metadata, inference, text generation.
struct OpenInferenceRoutes: RouteGroup {
    let calls: CallRouter
    let pages: StatusPages

    let methods: [String: [HTTPRequest.Method]] = [
        "/v2": [.get, .head], "/v2/health/live": [.get, .head], "/v2/health/ready": [.get, .head],
    ]

    func add(to router: Router<MartinetContext>) {
        router.get("v2") { [version = pages.version] _, _ in
            CallRouter.json(OpenInferenceAnswer.server(version: version))
        }
        router.get("v2/health/live") { _, _ in
            let isLive = pages.isLive
            return Self.status(isLive, OpenInferenceAnswer.health("live", isLive))
        }
        router.get("v2/health/ready") { _, _ in
            let isReady = pages.isReady
            return Self.status(isReady, OpenInferenceAnswer.health("ready", isReady))
        }
        // Names may hold slashes.
        router.get("v2/models/**") { _, context in
            try await Self.answer {
                let path = try Path(context, verbs: ["ready"])
                _ = try calls.directory.servedHere(path.name)
                let answer = OpenInferenceAnswer(name: path.name)
                guard path.verb == nil else {
                    let isReady = pages.isReady
                    return Self.status(isReady, answer.readiness(isReady))
                }
                return CallRouter.json(answer.metadata())
            }
        }
        router.post("v2/models/**") { request, context in
            try await Self.answer { try await post(request, context) }
        }
    }

    private func post(_ request: Request, _ context: MartinetContext) async throws -> Response {
        let path = try Path(context, verbs: ["infer", "generate", "generate_stream"])
        guard let verb = path.verb else {
            throw APIError(
                status: 405, "/v2/models/\(path.name.prefix(256)) does not take POST; add /infer or /generate.",
                code: "method_not_allowed")
        }
        let target = try calls.directory.servedHere(path.name)
        let hints = try RequestHints(request.headers, sessionHeader: calls.sessionHeader)
        let bytes = try await calls.body(of: request)
        let answer = OpenInferenceAnswer(name: path.name)
        let id = "oip-" + context.record.requestID
        if verb == "infer" {
            let (decoded, requests) = try await CallRouter.aside(bytes.readableBytes) {
                let decoded = try OpenInferenceRequest(
                    JSONBody(Array(bytes.readableBytesView)), model: target.model)
                return (decoded, hints.applied(to: try decoded.requests(id: id, model: target.model)))
            }
            let results = try await calls.runner.collect(requests, on: target, context: context)
            return CallRouter.json(answer.body(decoded, results))
        }
        let isStream = verb == "generate_stream"
        let requests = try await CallRouter.aside(bytes.readableBytes) {
            let decoded = try OpenInferenceText(
                JSONBody(Array(bytes.readableBytesView)), stream: isStream, model: target.model)
            return hints.applied(to: try decoded.requests(id: id, model: target.model))
        }
        if isStream {
            return try await calls.runner.stream(requests, on: target, encoding: answer, context: context)
        }
        return CallRouter.json(answer.body(try await calls.runner.collect(requests, on: target, context: context)[0]))
    }

    private static func status(_ isWell: Bool, _ body: [UInt8]) -> Response {
        response(isWell ? 200 : 503, body)
    }

    /// Gives errors the protocol's shape.
    private static func answer(_ body: () async throws -> Response) async throws -> Response {
        do {
            return try await body()
        } catch let error as APIError {
            var response = response(error.status, OpenInferenceAnswer.error(error))
            if let seconds = error.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
            return response
        }
    }

    private static func response(_ status: Int, _ body: [UInt8]) -> Response {
        Response(
            status: .init(code: status), headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension OpenInferenceRoutes {
    /// What stands behind `/v2/models/`: a name, perhaps a version, perhaps what to do.
    private struct Path {
        var name: String
        var verb: String?

        /// - Throws: ``APIError`` 404 where it asks for a version that is not there.
        init(_ context: MartinetContext, verbs: Set<String>) throws(APIError) {
            var parts = context.parameters.getCatchAll().map(String.init)
            if parts.count > 1, let last = parts.last, verbs.contains(last) { verb = parts.removeLast() }
            if parts.count > 2, parts[parts.count - 2] == "versions" {
                let version = parts.removeLast()
                parts.removeLast()
                try OpenInferenceRequest.check(version: version)
            }
            let path = parts.joined(separator: "/")
            name = path.removingPercentEncoding ?? path
        }
    }
}

extension OpenInferenceRequest {
    /// - Throws: ``APIError`` 404 for a version that no model has.
    static func check(version: String) throws(APIError) {
        guard version.isEmpty || version == Self.version else {
            throw APIError(
                status: 404,
                "There is no version `\(version.prefix(64))`; models have the version \(Self.version) alone.",
                code: "not_found")
        }
    }
}
