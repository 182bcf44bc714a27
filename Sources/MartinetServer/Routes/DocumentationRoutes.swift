internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import NIOCore
internal import Synchronization

/// `/openapi.json`, the API's document, and `/docs`, a page that shows it and works without any other server.
struct DocumentationRoutes: RouteGroup {
    let methods = Self.own
    private let document: Document
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
        document = Document(operations, version: version)
    }

    func add(to router: Router<MartinetContext>) {
        router.get("openapi.json") { [document] _, _ in CallRouter.json(try document.body()) }
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

/// The document, made when it is first asked for: that takes memory that a server which nobody asks does without.
private final class Document: Sendable {
    private let operations: [APIOperation]
    private let version: String
    private let made = Mutex<[UInt8]?>(nil)

    init(_ operations: [APIOperation], version: String) {
        self.operations = operations
        self.version = version
    }

    func body() throws -> [UInt8] {
        if let body = made.withLock(\.self) { return body }
        let body = try OpenAPIDocument.body(of: operations, version: version)
        made.withLock { $0 = body }
        return body
    }
}
