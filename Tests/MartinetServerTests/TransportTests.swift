import AsyncHTTPClient
import Foundation
import Hummingbird
import HummingbirdTesting
import MartinetServer
import MartinetWebSocketHTTP
import NIOCore
import NIOHTTP1
import NIOSSL
import Testing

/// HTTP/1.1 and HTTP/2 over TLS, with a real client. The certificates are those of the workers' tests.
@Suite struct TransportTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("MartinetWorkerProtocolTests/Fixtures").path

    private static func path(_ name: String) -> String { "\(folder)/\(name)" }

    private static func configuration(mutual: Bool = false) -> ServerConfiguration {
        var configuration = TestServer.local
        configuration.tls = .init(
            certificate: path("worker.pem"), key: path("worker.key"),
            clientAuthorities: mutual ? path("authority.pem") : nil)
        return configuration
    }

    /// - Parameter identity: whose certificate the client shows.
    private static func client(http2: Bool = true, identity: String? = nil) throws -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(path("authority.pem"))
        if let identity {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(path("\(identity).pem")).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: path("\(identity).key"), format: .pem))
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.httpVersion = http2 ? .automatic : .http1Only
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    private func serve(
        _ configuration: ServerConfiguration, _ script: ScriptedService.Script = .init(),
        client: HTTPClient, _ action: @Sendable (TestServer, HTTPClient, String) async throws -> Void
    ) async throws {
        let test = TestServer(script, configuration: configuration)
        do {
            try await test.server.application().test(.live) { live in
                try await action(test, client, "https://localhost:\(try #require(live.port))")
            }
        } catch {
            try await client.shutdown()
            throw error
        }
        try await client.shutdown()
    }

    private static func post(_ url: String, _ body: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        request.body = .bytes(ByteBuffer(string: body))
        return request
    }

    @Test(arguments: [true, false]) func answersAndStreams(http2: Bool) async throws {
        try await serve(Self.configuration(), client: Self.client(http2: http2)) { _, client, url in
            let health = try await client.execute(HTTPClientRequest(url: url + "/health"), timeout: .seconds(30))
            #expect(health.version == (http2 ? .http2 : .http1_1))
            #expect(health.status == .ok)
            try await withThrowingTaskGroup { group in
                for index in 0..<20 {
                    group.addTask {
                        let answer = try await client.execute(
                            Self.post(url + "/generate", "{\"prompt\":\"p\(index)\",\"stream\":true}"),
                            timeout: .seconds(60))
                        let text = String(buffer: try await answer.body.collect(upTo: 1 << 20))
                        #expect(text.hasSuffix("data: [DONE]\n\n"))
                        #expect(text.components(separatedBy: "\"text\":\"").count > index.description.count)
                    }
                }
                try await group.waitForAll()
            }
            let large = try await client.execute(
                Self.post(url + "/generate", "{\"prompt\":\"\(String(repeating: "a", count: 300_000))\"}"),
                timeout: .seconds(60))
            #expect(large.status == .badRequest)
        }
    }

    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func aClientThatLeavesEndsItsRequest(http2: Bool, stream: Bool) async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        try await serve(Self.configuration(), script, client: Self.client(http2: http2)) { test, client, url in
            let prompt = String(repeating: "a", count: 2000)
            let body = "{\"prompt\":\"\(prompt)\",\"max_tokens\":2000,\"stream\":\(stream)}"
            // The whole answer would take 40 s. A cancelled request of HTTP/2 resets its stream.
            let request = Task {
                let answer = try await client.execute(Self.post(url + "/generate", body), timeout: .seconds(60))
                for try await _ in answer.body {}
            }
            try await eventually("it runs") { test.service.open == 1 }
            request.cancel()
            try await eventually("the slot is free") { test.service.open == 0 }
            _ = await request.result
            // The connection of HTTP/2 is none the worse.
            let health = try await client.execute(HTTPClientRequest(url: url + "/health"), timeout: .seconds(30))
            #expect(health.status == .ok)
        }
    }

    @Test func onlyClientsWithACertificate() async throws {
        try await serve(Self.configuration(mutual: true), client: Self.client(identity: "frontend")) { _, client, url in
            let answer = try await client.execute(HTTPClientRequest(url: url + "/health"), timeout: .seconds(30))
            #expect(answer.status == .ok)
            for identity in [nil, "stranger"] {
                let stranger = try Self.client(http2: false, identity: identity)
                await #expect(throws: (any Error).self) {
                    try await stranger.execute(HTTPClientRequest(url: url + "/health"), timeout: .seconds(30))
                }
                try await stranger.shutdown()
            }
        }
    }

    @Test(arguments: [("worker", ["localhost", "worker"]), ("frontend", ["frontend"])])
    func namesOfCertificates(file: String, names: [String]) throws {
        let certificate = try #require(try NIOSSLCertificate.fromPEMFile(Self.path("\(file).pem")).first)
        #expect(ServerCertificates.names(of: certificate) == names)
    }

    @Test func certificatesAreReadAgain() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = ServerCertificates.Files(
            certificate: folder.appendingPathComponent("a.pem").path, key: folder.appendingPathComponent("a.key").path)
        func install(_ certificate: String, _ key: String) throws {
            for (name, target) in [("\(certificate).pem", files.certificate), ("\(key).key", files.key)] {
                try Data(contentsOf: URL(fileURLWithPath: Self.path(name))).write(
                    to: URL(fileURLWithPath: target), options: .atomic)
            }
        }
        #expect(throws: ServerCertificates.LoadError.self) { try ServerCertificates(files) }
        try install("worker", "worker")
        let certificates = try ServerCertificates(files)
        #expect(try !certificates.reload())
        #expect(try certificates.reload(always: true))
        // Half of a change, and nonsense: what was there stays, and each is said once.
        try install("frontend", "worker")
        #expect(throws: ServerCertificates.LoadError.self) { try certificates.reload() }
        #expect(try !certificates.reload())
        try Data("nonsense".utf8).write(to: URL(fileURLWithPath: files.certificate))
        #expect(throws: ServerCertificates.LoadError.self) { try certificates.reload() }
        try install("frontend", "frontend")
        #expect(try certificates.reload())
    }

    @Test func plainBytesOnAnEncryptedPort() async throws {
        let test = TestServer(configuration: Self.configuration())
        try await test.server.application().test(.live) { live in
            let raw = try await RawConnection.connect(port: try #require(live.port))
            try await raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            try await raw.wait("the end") { $0.isClosed }
            #expect(!raw.text.contains("HTTP/1.1"))
        }
    }
}
