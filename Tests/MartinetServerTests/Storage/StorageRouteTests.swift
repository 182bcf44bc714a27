import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MartinetAPI
import MartinetServer
import MartinetStorage
import NIOCore
import Testing

/// What the routes say of storage, there and not there.
@Suite struct StorageRouteTests {
    @Test(
        arguments: [
            (.get, "/v1/files"), (.post, "/v1/files"), (.get, "/v1/files/a"), (.delete, "/v1/files/a"),
            (.get, "/v1/files/a/content"), (.get, "/v1/batches"), (.post, "/v1/batches"), (.get, "/v1/batches/a"),
            (.post, "/v1/batches/a/cancel"),
        ] as [(HTTPRequest.Method, String)])
    func withoutStorage(method: HTTPRequest.Method, path: String) async throws {
        try await TestServer().server.application().test(.router) { client in
            let answer = try await client.execute(uri: path, method: method)
            #expect(answer.status == .notImplemented)
            #expect(answer.error["code"] as? String == "storage_off")
            #expect(answer.headers[.init("x-should-retry")!] == "false")
        }
    }

    @Test func responsesComeBack() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = DatabaseResponseStore(
            try await Storage.open(folder: path), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let response = StoredResponse(
            id: "resp_a", created: 5, model: "tiny", status: "completed", previousID: "resp_0", inputItems: "[1]",
            outputItems: "[\"ä\"]", body: Array("{}".utf8))
        try await store.save(response)
        #expect(try await store.response("resp_a") == response)
        #expect(try await store.response("resp_b") == nil)
        #expect(try await store.delete("resp_a"))
        #expect(try await !store.delete("resp_a"))
    }

    /// A form is sent without the browser asking, so the server looks at where its page is from.
    @Test(
        arguments: [
            ("https://chat.example", .ok), ("https://other.example", .forbidden), (nil, .ok),
        ] as [(String?, HTTPResponse.Status)])
    func uploadsOfPages(origin: String?, status: HTTPResponse.Status) async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        var configuration = ServerConfiguration()
        configuration.corsOrigins = ["https://chat.example"]
        let test = TestServer(configuration: configuration, storage: try await Storage.open(folder: path))
        let form = """
            --b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; \
            name="file"; filename="a.jsonl"\r\n\r\n{}\r\n--b--\r\n
            """
        try await test.server.application().test(.router) { client in
            var headers: HTTPFields = [.contentType: "multipart/form-data; boundary=b"]
            headers[.origin] = origin
            let answer = try await client.execute(
                uri: "/v1/files", method: .post, headers: headers, body: ByteBuffer(string: form))
            #expect(answer.status == status, "\(answer.text)")
        }
    }
}
