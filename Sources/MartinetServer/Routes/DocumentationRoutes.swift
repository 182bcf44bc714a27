internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import NIOCore

/// `/openapi.json`, the API's document, and `/docs`, a page that shows it and works without any other server.
struct DocumentationRoutes: RouteGroup {
    let methods = Self.own
    private let document: [UInt8]
    private static let own: [String: [HTTPRequest.Method]] = ["/openapi.json": [.get, .head], "/docs": [.get, .head]]

    /// - Parameters:
    ///   - groups: the other routes that this server has.
    ///   - version: the server's.
    init(describing groups: [any RouteGroup], version: String) {
        var methods = Self.own
        for group in groups { methods.merge(group.methods) { $0 + $1 } }
        let operations = APIOperation.all.filter { operation in
            methods[operation.path]?.contains { $0.rawValue.lowercased() == operation.method } == true
        }
        // A route that does not take its own example is found by a test, not by a server that does not start.
        document = (try? OpenAPIDocument.body(of: operations, version: version)) ?? []
    }

    func add(to router: Router<MartinetContext>) {
        router.get("openapi.json") { [document] _, _ in CallRouter.json(document) }
        router.get("docs") { _, _ in
            Response(
                status: .ok,
                headers: [
                    .contentType: "text/html; charset=utf-8",
                    // The page has all it needs; nothing may be fetched from elsewhere.
                    .contentSecurityPolicy:
                        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
                ], body: ResponseBody(byteBuffer: ByteBuffer(string: DocumentationPage.html)))
        }
    }
}
