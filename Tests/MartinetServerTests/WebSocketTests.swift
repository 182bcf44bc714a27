import Foundation
import Hummingbird
import HummingbirdTesting
import MartinetServer
import ServiceLifecycleTestKit
import Testing

@Suite struct WebSocketTests {
    private func serve(
        _ script: ScriptedService.Script = .init(), configuration: ServerConfiguration = TestServer.local,
        _ action: @Sendable (TestServer, Int) async throws -> Void
    ) async throws {
        let test = TestServer(script, configuration: configuration)
        try await test.server.application().test(.live) { client in
            try await action(test, try #require(client.port))
        }
    }

    /// The text of a generation's deltas.
    private func text(_ client: SocketClient, _ id: String) -> String {
        client.messages("delta", id: id).compactMap { message in
            let chunk = message["chunk"] as? [String: Any]
            let output = (chunk?["outputs"] as? [[String: Any]])?.first
            let choice = (chunk?["choices"] as? [[String: Any]])?.first
            return output?["text"] as? String ?? (choice?["delta"] as? [String: Any])?["content"] as? String
        }.joined()
    }

    @Test func manyGenerationsOnOneConnection() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(2)
        try await serve(script) { test, port in
            let client = try await SocketClient(port: port)
            #expect(client.raw.text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
            for index in 0..<8 {
                try await client.send(
                    index % 2 == 0
                        ? "{\"type\":\"generate\",\"id\":\"\(index)\",\"prompt\":\"prompt \(index)\"}"
                        : "{\"type\":\"chat\",\"id\":\"\(index)\",\"messages\":[{\"role\":\"user\",\"content\":\"prompt \(index)\"}]}"
                )
            }
            try await client.raw.wait("all are done") { _ in client.messages("done").count == 8 }
            for index in 0..<8 {
                #expect(text(client, "\(index)") == "prompt \(index)")
                #expect(client.messages("accepted", id: "\(index)").count == 1)
                let usage = client.messages("done", id: "\(index)").first?["usage"] as? [String: Any]
                #expect(usage?["completion_tokens"] as? Int == 8)
            }
            #expect(test.service.started == 8)
            await client.raw.close()
        }
    }

    @Test func anAnswerThatIsNoStream() async throws {
        try await serve { _, port in
            let client = try await SocketClient(port: port)
            try await client.send("{\"type\":\"generate\",\"id\":\"a\",\"prompt\":\"abc\",\"stream\":false}")
            try await client.raw.wait("it is done") { _ in client.messages("done").count == 1 }
            let response = client.messages("done").first?["response"] as? [String: Any]
            #expect((response?["outputs"] as? [[String: Any]])?.first?["text"] as? String == "abc")
            await client.raw.close()
        }
    }

    @Test func cancelling() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        try await serve(script) { test, port in
            let client = try await SocketClient(port: port)
            let prompt = String(repeating: "a", count: 2000)
            for (id, stream) in [("a", true), ("b", false)] {
                try await client.send(
                    "{\"type\":\"generate\",\"id\":\"\(id)\",\"prompt\":\"\(prompt)\",\"max_tokens\":2000,\"stream\":\(stream)}"
                )
            }
            try await client.raw.wait("a stream") { _ in client.messages("delta", id: "a").count > 2 }
            #expect(test.service.open == 2)
            for id in ["a", "b"] { try await client.send("{\"type\":\"cancel\",\"id\":\"\(id)\"}") }
            try await client.raw.wait("both ended") { _ in client.messages("cancelled").count == 2 }
            try await eventually("slots are free") { test.service.open == 0 }
            // The id is free again.
            try await client.send("{\"type\":\"generate\",\"id\":\"a\",\"prompt\":\"x\"}")
            try await client.raw.wait("the new one is done") { _ in client.messages("done", id: "a").count == 1 }
            try await client.send("{\"type\":\"cancel\",\"id\":\"a\"}")
            try await client.raw.wait("a complaint") { _ in client.messages("error").count == 1 }
            await client.raw.close()
        }
    }

    @Test func aClientThatVanishesEndsItsGenerations() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        try await serve(script) { test, port in
            let client = try await SocketClient(port: port)
            let prompt = String(repeating: "a", count: 2000)
            for index in 0..<4 {
                try await client.send(
                    "{\"type\":\"generate\",\"id\":\"\(index)\",\"prompt\":\"\(prompt)\",\"max_tokens\":2000,\"stream\":\(index > 0)}"
                )
            }
            try await eventually("all run") { test.service.open == 4 }
            await client.raw.close()
            try await eventually("slots are free") { test.service.open == 0 }
        }
    }

    @Test func messagesThatAreNotObeyed() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(5)
        var configuration = TestServer.local
        configuration.maxWebSocketGenerations = 1
        try await serve(script, configuration: configuration) { test, port in
            let client = try await SocketClient(port: port)
            let prompt = String(repeating: "a", count: 3000)
            try await client.send("{\"type\":\"generate\",\"id\":\"run\",\"prompt\":\"\(prompt)\",\"max_tokens\":1000}")
            for (message, id, code) in [
                ("{", nil, "invalid_json"), ("[]", nil, "invalid_type"), ("{}", nil, "invalid_type"),
                ("{\"type\":\"generate\",\"prompt\":\"a\"}", nil, "missing_required_parameter"),
                ("{\"type\":\"generate\",\"id\":7}", nil, "invalid_type"),
                ("{\"type\":\"dance\",\"id\":\"d\"}", "d", "invalid_value"),
                ("{\"type\":\"cancel\",\"id\":\"nobody\"}", nil, "unknown_id"),
                ("{\"type\":\"generate\",\"id\":\"run\",\"prompt\":\"a\"}", nil, "duplicate_id"),
                ("{\"type\":\"generate\",\"id\":\"more\",\"prompt\":\"a\"}", "more", "too_many_generations"),
            ] as [(String, String?, String)] {
                let before = client.messages("error").count
                try await client.send(message)
                try await client.raw.wait("an error") { _ in client.messages("error").count > before }
                let error = try #require(client.messages("error").last)
                #expect(error["id"] as? String == id, "\(message)")
                #expect((error["error"] as? [String: Any])?["code"] as? String == code, "\(message)")
            }
            // None of it disturbed the one that runs.
            #expect(test.service.open == 1)
            try await client.send("{\"type\":\"cancel\",\"id\":\"run\"}")
            try await client.raw.wait("it ended") { _ in client.messages("cancelled", id: "run").count == 1 }
            // What the route refuses.
            for (body, status) in [("\"prompt\":3", 400), ("\"prompt\":\"a\",\"model\":\"x\"", 404)] {
                try await client.send("{\"type\":\"generate\",\"id\":\"\(status)\",\(body)}")
                try await client.raw.wait("a refusal") { _ in client.messages("error", id: "\(status)").count == 1 }
                #expect(client.messages("error", id: "\(status)").first?["status"] as? Int == status)
            }
            await client.raw.close()
        }
    }

    @Test func aStreamThatBreaks() async throws {
        var script = ScriptedService.Script()
        script.failsAfter = 2
        try await serve(script) { _, port in
            let client = try await SocketClient(port: port)
            try await client.send("{\"type\":\"generate\",\"id\":\"a\",\"prompt\":\"abcdef\"}")
            try await client.raw.wait("an error") { _ in client.messages("error", id: "a").count == 1 }
            #expect(text(client, "a") == "ab")
            #expect(client.messages("done").isEmpty)
            await client.raw.close()
        }
    }

    @Test(arguments: [
        (SocketClient.frame(1, Array("{}".utf8), masked: false), 1002), (SocketClient.frame(2, [1, 2]), 1003),
        (SocketClient.frame(1, [0xFF, 0xFE]), 1007), (SocketClient.frame(0, [1]), 1002),
        (SocketClient.frame(1, [UInt8](repeating: 0x20, count: 5000)), 1009),
        ([0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], 1009),
        (
            SocketClient.frame(1, [UInt8](repeating: 0x20, count: 3000), fin: false)
                + SocketClient.frame(0, [UInt8](repeating: 0x20, count: 3000)), 1009
        ),
        (SocketClient.frame(8, [0x03, 0xE8]), 1000),
        (Array(String(repeating: "GET / HTTP/1.1\r\n\r\n", count: 9).utf8), 1002),
    ]) func closing(bytes: [UInt8], code: Int) async throws {
        var configuration = TestServer.local
        configuration.maxWebSocketMessageBytes = 4096
        try await serve(configuration: configuration) { _, port in
            let client = try await SocketClient(port: port)
            try await client.raw.send(bytes)
            try await client.raw.wait("the end") { $0.isClosed }
            #expect(client.closeCode == code)
            await client.raw.close()
        }
    }

    @Test func pings() async throws {
        try await serve { _, port in
            let client = try await SocketClient(port: port)
            try await client.raw.send(SocketClient.frame(9, [1, 2, 3]))
            try await client.send("{\"type\":\"ping\",\"id\":\"p\"}")
            try await client.raw.wait("both answers") { _ in
                client.frames.contains { $0.opcode == 10 && $0.payload == [1, 2, 3] }
                    && client.messages("pong").count == 1
            }
            await client.raw.close()
        }
    }

    @Test(arguments: [
        ("", 101), ("Origin: https://evil.example\r\n", 403), ("Origin: null\r\n", 403),
        ("Origin: https://chat.example\r\n", 101), ("Origin: http://127.0.0.1:PORT\r\n", 101),
    ]) func originsOfPages(header: String, status: Int) async throws {
        var configuration = TestServer.local
        configuration.corsOrigins = ["https://Chat.example/"]
        try await serve(configuration: configuration) { _, port in
            let client = try await SocketClient(
                port: port, headers: header.replacingOccurrences(of: "PORT", with: "\(port)"))
            #expect(client.raw.text.hasPrefix("HTTP/1.1 \(status) "))
            await client.raw.close()
        }
    }

    @Test(arguments: [
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", "/health", 200),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", "/health", 200),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n", "/v1/ws", 426),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "/v1/ws", 400),
        ("", "/v1/ws", 426),
    ]) func requestsThatDoNotUpgrade(headers: String, path: String, status: Int) async throws {
        try await serve { _, port in
            let raw = try await RawConnection.connect(port: port)
            try await raw.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
            try await raw.wait("an answer") { $0.text.contains("HTTP/1.1 \(status) ") }
            // The parser would not see another request behind an upgrade.
            if !headers.isEmpty { try await raw.wait("the end") { $0.isClosed } }
            await raw.close()
        }
    }

    @Test func aSlowReaderDoesNotBlockOthers() async throws {
        try await serve { test, port in
            let slow = try await SocketClient(port: port)
            try await slow.raw.channel.setOption(.autoRead, value: false).get()
            let prompt = String(repeating: "x", count: 2000)
            for index in 0..<8 {
                try await slow.send(
                    "{\"type\":\"generate\",\"id\":\"\(index)\",\"prompt\":\"\(prompt)\",\"n\":64,\"max_tokens\":2000}")
            }
            // A generation begins when its client has room for the word that it does.
            try await eventually("one runs") { test.service.started >= 1 }
            let other = try await SocketClient(port: port)
            try await other.send("{\"type\":\"generate\",\"id\":\"a\",\"prompt\":\"abc\"}")
            try await other.raw.wait("the other is done") { _ in other.messages("done").count == 1 }
            await slow.raw.close()
            await other.raw.close()
            try await eventually("slots are free") { test.service.open == 0 }
        }
    }

    @Test func draining() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        let test = TestServer(script)
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        try await testGracefulShutdown { trigger in
            try await withThrowingTaskGroup { group in
                group.addTask { try await test.server.run { continuation.yield($0) } }
                let port = try #require(await ports.first { _ in true })
                let client = try await SocketClient(port: port)
                let idle = try await SocketClient(port: port)
                let silent = try await RawConnection.connect(port: port)
                try await client.send("{\"type\":\"generate\",\"id\":\"a\",\"prompt\":\"abcdefghijklmnopqrst\"}")
                try await client.raw.wait("a stream") { _ in client.messages("delta").count > 2 }
                trigger.triggerGracefulShutdown()
                for raw in [client.raw, idle.raw, silent] { try await raw.wait("the end") { $0.isClosed } }
                // What ran came to its end first.
                #expect(text(client, "a") == "abcdefghijklmnopqrst")
                #expect(client.messages("done", id: "a").count == 1)
                #expect(client.closeCode == 1001)
                #expect(idle.closeCode == 1001)
                for raw in [client.raw, idle.raw, silent] { await raw.close() }
                try await group.waitForAll()
            }
        }
    }
}
