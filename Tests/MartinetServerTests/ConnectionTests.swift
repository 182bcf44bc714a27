import Foundation
import Hummingbird
import HummingbirdTesting
import MartinetServer
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// What needs a real socket.
@Suite struct ConnectionTests {
    /// Runs a request on a raw socket that is closed after `bytes` of the answer.
    private func leave(port: Int, body: String, after bytes: Int, path: String = "/generate") async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { inbound, outbound in
            let head =
                "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            try await outbound.write(ByteBuffer(string: head + body))
            var seen = 0
            if bytes > 0 {
                for try await buffer in inbound {
                    seen += buffer.readableBytes
                    if seen >= bytes { break }
                }
            } else {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func waitUntilIdle(_ service: ScriptedService) async throws {
        let deadline = ContinuousClock.now + .seconds(5)
        while service.open > 0, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(service.open == 0)
    }

    @Test(arguments: [true, false]) func aClientThatLeavesEndsItsRequest(stream: Bool) async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        let test = TestServer(script)
        let prompt = String(repeating: "a", count: 2000)
        try await test.server.application().test(.live) { client in
            let port = try #require(client.port)
            let body = "{\"prompt\":\"\(prompt)\",\"max_tokens\":2000,\"stream\":\(stream)}"
            // The whole answer would take 40 s.
            try await leave(port: port, body: body, after: stream ? 400 : 0)
            #expect(test.service.started == 1)
            try await waitUntilIdle(test.service)
            let metrics = try await client.execute(uri: "/metrics", method: .get).text
            #expect(metrics.contains("martinet_client_disconnects_total 1\n"))
            #expect(metrics.contains("martinet_http_generations 0\n"))
        }
    }

    @Test func aNeighbourIsNotDisturbed() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(5)
        let test = TestServer(script)
        try await test.server.application().test(.live) { client in
            let port = try #require(client.port)
            let text = String(repeating: "abcdefghij", count: 10)
            async let neighbour = TestServer.post(
                client, "/generate", "{\"prompt\":\"\(text)\",\"max_tokens\":100,\"stream\":true}")
            for _ in 0..<10 {
                try await leave(port: port, body: "{\"prompt\":\"\(text)\",\"stream\":true}", after: 200)
            }
            let answer = try await neighbour
            #expect(answer.text.hasSuffix("data: [DONE]\n\n"))
            #expect(answer.text.contains("\"completion_tokens\":100"))
            try await waitUntilIdle(test.service)
        }
    }

    @Test func aSlowReaderHoldsBackTheWriter() async throws {
        let test = TestServer()
        try await test.server.application().test(.live) { client in
            let port = try #require(client.port)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false)
                .channelOption(.socketOption(.so_rcvbuf), value: 4096)
                .connect(host: "127.0.0.1", port: port).get()
            let body =
                "{\"prompt\":\"\(String(repeating: "x", count: 4000))\",\"n\":64,\"max_tokens\":4000,\"stream\":true}"
            // A client that asks and never reads.
            _ = try? await channel.writeAndFlush(
                ByteBuffer(
                    string:
                        "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            ).get()
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await client.execute(uri: "/health", method: .get).status == .ok)
            try await channel.close().get()
            try await waitUntilIdle(test.service)
        }
    }

    @Test(arguments: [
        ("Transfer-Encoding: chunked\r\n\r\nZZZ\r\n", "400"), ("Content-Length: 100\r\n\r\n{\"pro", "400"),
    ]) func aBrokenBodyIsTheClientsFault(rest: String, status: String) async throws {
        let test = TestServer()
        try await test.server.application().test(.live) { client in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .connect(host: "127.0.0.1", port: try #require(client.port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                            wrappingChannelSynchronously: channel,
                            configuration: .init(isOutboundHalfClosureEnabled: true))
                    }
                }
            let answer = try await channel.executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: "POST /generate HTTP/1.1\r\nHost: x\r\n\(rest)"))
                outbound.finish()
                var text = ""
                for try await buffer in inbound { text += String(buffer: buffer) }
                return text
            }
            #expect(answer.hasPrefix("HTTP/1.1 \(status)"))
            #expect(answer.contains("invalid_body"))
            #expect(test.service.started == 0)
        }
    }

    @Test func largeBodiesDoNotHoldUpOthers() async throws {
        let entered = Mutex(0)
        let gate = NSCondition()
        let answered = Mutex(false)
        let heldUp = Mutex(false)
        var script = ScriptedService.Script()
        // Rendering keeps its thread until the other request is answered.
        script.beforeTemplate = {
            entered.withLock { $0 += 1 }
            let end = Date(timeIntervalSinceNow: 30)
            gate.lock()
            defer { gate.unlock() }
            while !answered.withLock { $0 } {
                if !gate.wait(until: end) { return heldUp.withLock { $0 = true } }
            }
        }
        let test = TestServer(script)
        try await test.server.application().test(.live) { client in
            let port = try #require(client.port)
            let text = String(repeating: "a", count: 40_000)
            let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"\(text)\"}],\"truncate_prompt_tokens\":1}"
            try await withThrowingTaskGroup { group in
                // More than there are threads in the pool that serves connections.
                for _ in 0..<(2 * ProcessInfo.processInfo.activeProcessorCount) {
                    group.addTask { try await leave(port: port, body: body, after: 1, path: "/v1/chat/completions") }
                }
                while entered.withLock { $0 } == 0 { try await Task.sleep(for: .milliseconds(5)) }
                try await Task.sleep(for: .milliseconds(300))
                #expect(try await client.execute(uri: "/health", method: .get).status == .ok)
                answered.withLock { $0 = true }
                gate.withLock { gate.broadcast() }
                try await group.waitForAll()
                #expect(!heldUp.withLock { $0 })
            }
        }
    }

    @Test func draining() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        let test = TestServer(script)
        let (ports, continuation) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup { group in
            group.addTask { try await test.server.run { continuation.yield($0) } }
            let port = try #require(await ports.first { _ in true })
            async let running: Void = leave(
                port: port, body: "{\"prompt\":\"abcdefghijklmnopqrst\",\"stream\":true}", after: 1_000_000)
            while test.service.open == 0 { try await Task.sleep(for: .milliseconds(5)) }
            let begin = ContinuousClock.now
            group.cancelAll()
            try await running
            // `run` ends soon after the last request.
            try await group.waitForAll()
            #expect(ContinuousClock.now - begin < .seconds(10))
            #expect(test.service.open == 0)
        }
    }
}
