import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import MartinetServer
import Testing

/// What clients may do to a connection, and what they may not.
@Suite struct LimitTests {
    private func serve(
        _ script: ScriptedService.Script = .init(), configuration: ServerConfiguration = TestServer.local,
        _ action: @Sendable (TestServer, Int) async throws -> Void
    ) async throws {
        let test = TestServer(script, configuration: configuration)
        try await test.server.application().test(.live) { client in
            try await action(test, try #require(client.port))
        }
    }

    @Test func tooLargeAHead() async throws {
        try await serve { _, port in
            let raw = try await RawConnection.connect(port: port)
            let header = "X-Filler: \(String(repeating: "a", count: 1000))\r\n"
            try? await raw.send(
                "GET /health HTTP/1.1\r\nHost: x\r\n\(String(repeating: header, count: 80))\r\n")
            try await raw.wait("the end") { $0.isClosed }
            #expect(raw.text.hasPrefix("HTTP/1.1 431 "))
            #expect(raw.text.contains("\"code\":\"invalid_http\""))
        }
    }

    @Test(arguments: [
        "NONSENSE\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /health HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n",
    ]) func garbage(bytes: String) async throws {
        try await serve { test, port in
            let raw = try await RawConnection.connect(port: port)
            try await raw.send(bytes)
            try await raw.wait("the end") { $0.isClosed }
            #expect(raw.text.hasPrefix("HTTP/1.1 400 "), "\(raw.text)")
            #expect(test.service.started == 0)
        }
    }

    @Test func slowBodiesAndHeads() async throws {
        var configuration = TestServer.local
        configuration.requestTimeout = .seconds(2)
        try await serve(configuration: configuration) { test, port in
            let silent = try await RawConnection.connect(port: port)
            let head = try await RawConnection.connect(port: port)
            try await head.send("GET /health HTTP/1.1\r\nHo")
            let preface = try await RawConnection.connect(port: port)
            try await preface.send("PRI * HTTP")
            let body = try await RawConnection.connect(port: port)
            try await body.send("POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            for raw in [silent, head, preface, body] { try await raw.wait("the end") { $0.isClosed } }
            #expect(body.text.hasPrefix("HTTP/1.1 408 "))
            #expect(body.text.contains("request_timeout"))
            #expect(silent.text.isEmpty)
            #expect(test.service.started == 0)
        }
    }

    @Test func restingConnections() async throws {
        var configuration = TestServer.local
        configuration.idleTimeout = .milliseconds(200)
        var script = ScriptedService.Script()
        script.delay = .milliseconds(100)
        try await serve(script, configuration: configuration) { _, port in
            let raw = try await RawConnection.connect(port: port)
            // A slow answer is no rest.
            try await raw.post("/generate", "{\"prompt\":\"abcdef\"}")
            try await raw.wait("the end") { $0.isClosed }
            #expect(raw.text.contains("\"text\":\"abcdef\""))
        }
    }

    @Test func requestsInARow() async throws {
        try await serve { _, port in
            let raw = try await RawConnection.connect(port: port)
            let request = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
            try await raw.send(
                String(repeating: request, count: 50) + "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            try await raw.wait("the end") { $0.isClosed }
            #expect(raw.text.components(separatedBy: "HTTP/1.1 200 OK").count == 52)
            #expect(raw.text.hasSuffix("{\"status\":\"healthy\"}"))
        }
    }

    @Test func anOldClientIsClosed() async throws {
        try await serve { _, port in
            let raw = try await RawConnection.connect(port: port)
            try await raw.send("GET /health HTTP/1.0\r\n\r\n")
            try await raw.wait("the end") { $0.isClosed }
            #expect(raw.text.hasSuffix("{\"status\":\"healthy\"}"))
            #expect(raw.text.lowercased().contains("connection: close"))
        }
    }

    @Test func aClientThatAsksBeforeItSends() async throws {
        try await serve { _, port in
            let raw = try await RawConnection.connect(port: port)
            let body = "{\"prompt\":\"abc\"}"
            try await raw.send(
                "POST /generate HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            )
            try await raw.wait("the word") { $0.text.hasPrefix("HTTP/1.1 100 ") && $0.text.hasSuffix("\r\n\r\n") }
            try await raw.send(body)
            try await raw.wait("the answer") { $0.text.contains("\"text\":\"abc\"") }
            await raw.close()
        }
    }

    @Test func tooManyConnections() async throws {
        var configuration = TestServer.local
        configuration.maxConnections = 20
        try await serve(configuration: configuration) { _, port in
            var open: [RawConnection] = []
            while true {
                let raw = try await RawConnection.connect(port: port)
                try? await raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                try await raw.wait("an answer") { !$0.text.isEmpty || $0.isClosed }
                guard raw.text.contains("200 OK") else { break }
                open.append(raw)
            }
            // The test's own client has one.
            #expect((19...20).contains(open.count))
            let more = try await RawConnection.connect(port: port)
            try await more.wait("the end") { $0.isClosed }
            #expect(more.text.hasPrefix("HTTP/1.1 503 "))
            await open.removeLast().close()
            try await eventually("there is room again") {
                let raw = try await RawConnection.connect(port: port)
                try? await raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                try await raw.wait("an answer") { !$0.text.isEmpty || $0.isClosed }
                await raw.close()
                return raw.text.contains("200 OK")
            }
            for raw in open { await raw.close() }
        }
    }

    @Test func manyIdleConnections() async throws {
        try await serve { test, port in
            var open: [RawConnection] = []
            for _ in 0..<1500 { open.append(try await RawConnection.connect(port: port)) }
            let raw = try await RawConnection.connect(port: port)
            try await raw.post("/generate", "{\"prompt\":\"abc\"}")
            try await raw.wait("an answer") { $0.text.contains("\"text\":\"abc\"") }
            for raw in open { await raw.close() }
            await raw.close()
        }
    }

    @Test func http2WithoutTLS() async throws {
        try await serve { _, port in
            let raw = try await RawConnection.connect(port: port)
            // The preface, empty SETTINGS.
            try await raw.send("PRI * HTTP/2.0\r\n\r\n")
            try await raw.send(Array("SM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0])
            // The server's own SETTINGS and the acknowledgement of ours.
            try await raw.wait("settings") { $0.bytes.count >= 18 && $0.bytes[3] == 4 }
            // Nonsense ends the connection and nothing else.
            try await raw.send([UInt8](repeating: 0xFF, count: 64))
            try await raw.wait("the end") { $0.isClosed }
        }
    }

    @Test func aSilentStreamIsKeptAlive() async throws {
        var configuration = TestServer.local
        configuration.keepAlive = .milliseconds(50)
        var script = ScriptedService.Script()
        script.delay = .milliseconds(400)
        try await serve(script, configuration: configuration) { _, port in
            let raw = try await RawConnection.connect(port: port)
            try await raw.post("/generate", "{\"prompt\":\"ab\",\"stream\":true}")
            try await raw.wait("the stream's end") { $0.text.contains("[DONE]") }
            #expect(raw.text.components(separatedBy: ": keep-alive\n\n").count > 3)
            await raw.close()
        }
    }

    @Test func pagesOfOtherOrigins() async throws {
        var configuration = TestServer.local
        configuration.corsOrigins = ["https://chat.example"]
        let test = TestServer(configuration: configuration)
        try await test.server.application().test(.live) { client in
            func ask(_ origin: String, _ method: HTTPRequest.Method) async throws -> TestResponse {
                var headers: HTTPFields = [.origin: origin]
                if method == .options {
                    headers[.accessControlRequestMethod] = "POST"
                    headers[.accessControlRequestHeaders] = "authorization, content-type"
                }
                return try await client.execute(uri: "/v1/models", method: method, headers: headers)
            }
            let preflight = try await ask("https://chat.example", .options)
            #expect(preflight.status == .noContent)
            #expect(preflight.headers[.accessControlAllowOrigin] == "https://chat.example")
            #expect(preflight.headers[.accessControlAllowHeaders] == "authorization, content-type")
            #expect(preflight.headers[.accessControlAllowMethods]?.contains("POST") == true)
            let answer = try await ask("https://chat.example", .get)
            #expect(answer.headers[.accessControlAllowOrigin] == "https://chat.example")
            #expect(answer.headers[.accessControlExposeHeaders]?.contains("X-Request-Id") == true)
            #expect(answer.headers[.vary] == "Origin")
            let other = try await ask("https://evil.example", .options)
            #expect(other.status == .forbidden)
            #expect(other.headers[.accessControlAllowOrigin] == nil)
            #expect(try await ask("https://evil.example", .get).headers[.accessControlAllowOrigin] == nil)
        }
    }

    @Test func methodsAndTimes() async throws {
        try await TestServer().server.application().test(.live) { client in
            let options = try await client.execute(uri: "/generate", method: .options)
            #expect(options.status == .noContent)
            #expect(options.headers[.allow] == "POST, OPTIONS")
            #expect(options.headers[.accessControlAllowOrigin] == nil)
            let head = try await client.execute(uri: "/health", method: .head)
            #expect(head.status == .ok)
            #expect(head.headers[.contentLength] == "20")
            let answer = try await TestServer.post(client, "/generate", "{\"prompt\":\"abc\"}")
            let timing = try #require(answer.headers[HTTPField.Name("Server-Timing")!])
            #expect(timing.contains(/^total;dur=\d+\.\d, first-token;dur=\d+\.\d$/))
        }
    }

    @Test func aUnixSocket() async throws {
        let path = "/tmp/martinet-\(UUID().uuidString.prefix(8)).sock"
        var configuration = TestServer.local
        configuration.unixSocket = path
        configuration.listensOnPort = false
        // What a server left that was killed.
        let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(dead)
        let test = TestServer(configuration: configuration)
        let other = TestServer(configuration: configuration)
        try await withThrowingTaskGroup { group in
            let (ready, continuation) = AsyncStream<Int>.makeStream()
            group.addTask { try? await test.server.run { continuation.yield($0) } }
            #expect(await ready.first { _ in true } == 0)
            let raw = try await RawConnection.connect(path: path)
            try await raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            try await raw.wait("an answer") { $0.text.contains("200 OK") }
            await raw.close()
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o660)
            // Another server does not take it away.
            await #expect(throws: UnixSocketError.self) { try await other.server.run { _ in } }
            group.cancelAll()
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}
