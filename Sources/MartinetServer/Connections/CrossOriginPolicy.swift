internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetWebSocketHTTP

/// Which pages of other origins may use the server (CORS, the Fetch standard, section 3.2).
struct CrossOriginPolicy: Sendable {
    private let origins: Set<String>
    private let allowsAll: Bool

    /// - Parameter origins: such as `https://chat.example`; `*` for all.
    init(_ origins: [String]) {
        self.origins = Set(origins.map(Self.normal))
        allowsAll = origins.contains("*")
    }

    private static func normal(_ origin: String) -> String {
        let lower = origin.lowercased()
        return lower.hasSuffix("/") ? String(lower.dropLast()) : lower
    }

    /// Whether pages of an origin may read answers.
    func allows(_ origin: String) -> Bool { allowsAll || origins.contains(Self.normal(origin)) }

    /// Whether pages of an origin may do what no browser asks about first, such as open a WebSocket or send a form, on a
    /// host: those that the host itself gave may.
    func allowsUnasked(from origin: String, to host: String?) -> Bool {
        if allows(origin) { return true }
        guard let host, let scheme = origin.range(of: "://") else { return false }
        return Self.normal(String(origin[scheme.upperBound...])) == host.lowercased()
    }

    /// The answer to a browser that asks whether a page may send a request; `nil` where the request is none such.
    func preflight(_ request: Request) throws(APIError) -> Response? {
        guard request.method == .options, let origin = request.headers[.origin],
            let method = request.headers[.accessControlRequestMethod], !origins.isEmpty
        else { return nil }
        guard allows(origin) else {
            throw APIError(
                status: 403, "Pages of \(origin.prefix(256)) may not use this server.", code: "origin_not_allowed")
        }
        var headers: HTTPFields = [
            .accessControlAllowMethods: "GET, HEAD, POST, PUT, PATCH, DELETE", .accessControlMaxAge: "600",
        ]
        if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(method) { headers = [:] }
        // What is asked for is allowed: which headers mean something is not for browsers to judge.
        headers[.accessControlAllowHeaders] = request.headers[.accessControlRequestHeaders]
        return Response(status: .noContent, headers: headers)
    }

    /// Says in an answer's headers that the page which asked may read it.
    func apply(to headers: inout HTTPFields, for request: Request) {
        guard !origins.isEmpty else { return }
        headers.append(HTTPField(name: .vary, value: "Origin"))
        guard let origin = request.headers[.origin], allows(origin) else { return }
        headers[.accessControlAllowOrigin] = allowsAll ? "*" : origin
        headers[.accessControlExposeHeaders] = "X-Request-Id, Server-Timing, Retry-After"
    }
}
