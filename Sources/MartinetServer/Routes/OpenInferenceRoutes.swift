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
        "/v2/models/{model}": [.get, .head], "/v2/models/{model}/ready": [.get, .head],
        "/v2/models/{model}/infer": [.post], "/v2/models/{model}/generate": [.post],
        "/v2/models/{model}/generate_stream": [.post],
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
            let path = try Path(context)
            guard path.verb == nil || path.verb == "ready" else { throw HTTPError(.notFound) }
            _ = try calls.directory.servedHere(path.name)
            let answer = OpenInferenceAnswer(name: path.name)
            guard path.verb == nil else {
                let isReady = pages.isReady
                return Self.status(isReady, answer.readiness(isReady))
            }
            return CallRouter.json(answer.metadata())
        }
        router.post("v2/models/**") { request, context in try await post(request, context) }
    }

    private func post(_ request: Request, _ context: MartinetContext) async throws -> Response {
        let path = try Path(context)
        // The methods that the path has say what is wrong.
        guard let verb = path.verb, verb != "ready" else { throw HTTPError(.notFound) }
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
        Response(
            status: isWell ? .ok : .serviceUnavailable, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension OpenInferenceRoutes {
    /// What stands behind `/v2/models/`: a name, perhaps a version, perhaps what to do.
    private struct Path {
        private static let verbs: Set<String> = ["ready", "infer", "generate", "generate_stream"]

        var name: String
        var verb: String?

        /// - Throws: ``APIError`` 404 where it asks for a version that is not there.
        init(_ context: MartinetContext) throws(APIError) {
            var parts = context.parameters.getCatchAll().map(String.init)
            if parts.count > 1, let last = parts.last, Self.verbs.contains(last) { verb = parts.removeLast() }
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
