internal import MartinetTelemetry
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import MartinetAPI
internal import MartinetWebSocketHTTP
internal import NIOCore

/// Stands around every route: request ids, errors in the API's shape, HTTP metrics, the request log.
struct RequestMiddleware: RouterMiddleware {
    let metrics: ServerMetrics
    let logger: Logger
    /// Paths that exist, with the methods they take, to tell 405 from 404.
    let routes: RouteTable
    let origins: CrossOriginPolicy

    func handle(
        _ request: Request, context: MartinetContext,
        next: (Request, MartinetContext) async throws -> Response
    ) async throws -> Response {
        let id = Self.requestID(request.headers[.requestID])
        let shape = ErrorShape(path: request.uri.path)
        context.record.update { facts in
            facts.requestID = id
            facts.method = request.method.rawValue
            facts.path = request.uri.path
            if let connection = context.connection {
                facts.protocolName = connection.protocolName
                facts.remoteAddress = connection.remoteAddress
                facts.clientNames = connection.clientNames
            }
        }
        var response: Response
        do {
            if let preflight = try origins.preflight(request) {
                response = preflight
            } else {
                response = try await next(request, context)
            }
        } catch let error as APIError {
            response = Self.response(error, shape, id)
        } catch let error as HTTPError where error.status == .notFound {
            response = notFound(request, shape, id)
        } catch let error as any HTTPResponseError {
            response = Self.response(
                APIError(status: Int(error.status.code), "The request is not valid HTTP for this route: \(error)."),
                shape, id)
        } catch {
            logger.error("request failed", metadata: ["request_id": "\(id)", "error": "\(error)"])
            response = Self.response(
                APIError(
                    status: 500, "The server failed; its log names the cause under request \(id).",
                    type: "server_error", code: "internal_error"), shape, id)
        }
        response.headers[.requestID] = id
        // Anthropic's clients know it by this name.
        if shape == .anthropic { response.headers[.anthropicRequestID] = id }
        let isWhole = response.body.contentLength != nil
        response.headers[.serverTiming] = context.record.serverTiming(isWhole: isWhole)
        origins.apply(to: &response.headers, for: request)
        let method = Self.knownMethods.contains(request.method) ? request.method.rawValue : "OTHER"
        let handler = context.endpointPath ?? "none"
        // The server's own requests are none of HTTP.
        if context.channel != nil {
            metrics.httpRequests(method, "\(response.status.code)", handler).increment()
            metrics.httpDurations(method, handler).observe(context.record.seconds)
        }
        let status = Int(response.status.code)
        context.record.update { $0.status = status }
        // A stream's line is written at its end.
        if isWhole { context.record.write(to: logger) }
        // Bytes behind the head of an answer to HEAD would be taken for the next answer.
        return request.method == .head ? response.createHeadResponse() : response
    }

    private static let knownMethods: [HTTPRequest.Method] = [
        .get, .post, .head, .options, .put, .delete, .patch,
    ]

    private func notFound(_ request: Request, _ shape: ErrorShape, _ id: String) -> Response {
        guard let methods = routes.methods(at: request.uri.path), !methods.contains(request.method) else {
            return Self.response(
                APIError(status: 404, "There is no route \(request.uri.path.prefix(256)).", code: "not_found"), shape,
                id)
        }
        let allowed = (methods + [.options]).map(\.rawValue).joined(separator: ", ")
        if request.method == .options { return Response(status: .noContent, headers: [.allow: allowed]) }
        var response = Self.response(
            APIError(
                status: 405, "\(request.uri.path) does not take \(request.method.rawValue.prefix(32)); use \(allowed).",
                code: "method_not_allowed"), shape, id)
        response.headers[.allow] = allowed
        return response
    }

    /// The client's id where it is short and plain, else a new one.
    static func requestID(_ given: String?) -> String {
        if let given, (1...128).contains(given.utf8.count), given.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            return given
        }
        return newID()
    }

    /// 24 random hexadecimal digits.
    static func newID() -> String {
        let high = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        let low = String(UInt32.random(in: 0...UInt32.max), radix: 16)
        return String(repeating: "0", count: 16 - high.count) + high + String(repeating: "0", count: 8 - low.count)
            + low
    }

    /// An error as an answer.
    static func response(_ error: APIError, _ shape: ErrorShape = .openAI, _ id: String = "") -> Response {
        var response = Response(
            status: .init(code: error.status), headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: shape.body(error, requestID: id))))
        if let seconds = error.retryAfter { response.headers[.retryAfter] = "\(seconds)" }
        // Clients of OpenAI would try again what cannot succeed.
        if error.status == 501 { response.headers[.shouldRetry] = "false" }
        return response
    }
}

extension HTTPField.Name {
    /// `X-Request-Id`, named in both directions.
    static let requestID = HTTPField.Name("X-Request-Id") ?? .server
    static let anthropicRequestID = HTTPField.Name("request-id") ?? .server
    /// `x-should-retry`, which OpenAI's and Anthropic's clients obey.
    static let shouldRetry = HTTPField.Name("x-should-retry") ?? .server
    /// `Server-Timing` (W3C): how long parts of the answer took.
    static let serverTiming = HTTPField.Name("Server-Timing") ?? .server
}
