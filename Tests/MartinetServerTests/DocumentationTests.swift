import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MartinetServer
import MartinetStorage
import Testing

/// A fleet that is there.
private struct QuietFleet: FleetControl {
    func models() -> [ModelWorkers] { [] }
    func replaceWorkers(of model: String?) async throws {}
    func reload() async throws -> [String] { [] }
}

/// `/openapi.json` holds what the server has: no route more, none less.
@Suite struct DocumentationTests {
    private typealias Operation = (method: String, path: [String])

    private func documented(_ server: MartinetServer) async throws -> [Operation] {
        try await server.application().test(.router) { client in
            let paths = try await client.execute(uri: "/openapi.json", method: .get).json["paths"]
            let methods = try #require(paths as? [String: [String: Any]])
            return methods.flatMap { path, methods in
                methods.keys.map { (method: $0.uppercased(), path: Self.parts(path)) }
            }
        }
    }

    private static func parts(_ path: String) -> [String] { path.split(separator: "/").map(String.init) }

    /// Whether the router's pattern takes what the document's does.
    private static func takes(_ route: [String], _ documented: [String]) -> Bool {
        if route.last == "**" {
            return documented.count >= route.count && zip(route.dropLast(), documented).allSatisfy { $0 == $1 }
        }
        return route.count == documented.count
            && zip(route, documented).allSatisfy { route, part in
                route == part || ((route.hasPrefix("{") || route.hasPrefix(":")) && part.hasPrefix("{"))
            }
    }

    private func server(_ storage: Storage?, _ fleet: (any FleetControl)?) -> MartinetServer {
        MartinetServer(
            directory: ModelDirectory([]), fleet: fleet, storage: storage, configuration: TestServer.local,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test func everyRouteIsDescribedAndNoOther() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martinet-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = server(try await Storage.open(folder: folder), QuietFleet())
        let documented = try await documented(server)
        let registered = server.registeredRoutes.map { (method: $0.method, path: Self.parts($0.path)) }
            .filter { $0.method != "HEAD" }
        #expect(registered.count > 30)
        for route in registered {
            let isDescribed = documented.contains { $0.method == route.method && Self.takes(route.path, $0.path) }
            #expect(isDescribed, "\(route.method) \(route.path) has no APIOperation")
        }
        for operation in documented {
            let isThere = registered.contains { $0.method == operation.method && Self.takes($0.path, operation.path) }
            #expect(isThere, "\(operation.method) \(operation.path) is described, and no route")
        }
    }

    @Test func whatAServerLacksIsNotDescribed() async throws {
        let paths = try await documented(server(nil, nil)).map { $0.path.joined(separator: "/") }
        #expect(paths.contains("v1/responses"))
        for path in ["v1/files", "v1/batches", "admin/workers"] { #expect(!paths.contains(path)) }
    }

    @Test func thePageFetchesFromNowhereElse() async throws {
        try await server(nil, nil).application().test(.router) { client in
            let page = try await client.execute(uri: "/docs", method: .get)
            #expect(page.headers[.contentType] == "text/html; charset=utf-8")
            #expect(page.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none'") == true)
            #expect(!page.text.contains("https://") && !page.text.contains("http://"))
        }
    }

    @Test(arguments: [
        ("/v1/models/org/tiny", HTTPRequest.Method.post, "GET, HEAD, OPTIONS"),
        ("/v1/responses/resp_1", .post, "GET, HEAD, DELETE, OPTIONS"),
        ("/v1/responses/input_tokens", .get, "POST, OPTIONS"),
        ("/v2/models/org/tiny/infer", .get, "POST, OPTIONS"), ("/v2/models/tiny", .post, "GET, HEAD, OPTIONS"),
        ("/v2/models/tiny/ready", .post, "GET, HEAD, OPTIONS"), ("/score", .get, "POST, OPTIONS"),
    ])
    func otherMethodsAreRefused(_ path: String, _ method: HTTPRequest.Method, _ allowed: String) async throws {
        try await TestServer().server.application().test(.router) { client in
            let answer = try await client.execute(uri: path, method: method)
            #expect(answer.status == .methodNotAllowed)
            #expect(answer.headers[.allow] == allowed)
        }
    }

    @Test func load() async throws {
        try await server(nil, nil).application().test(.router) { client in
            let answer = try await client.execute(uri: "/load", method: .get)
            #expect(answer.json["server_load"] as? Int == 0)
        }
    }
}
