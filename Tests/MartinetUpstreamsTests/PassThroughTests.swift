import MartinetJSON
import Foundation
import MartinetAPI
import MartinetUpstreams
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct PassThroughTests {
    @Test func aJSONAnswerGoesThroughAsItIs() async throws {
        let server = MockServer { _ in MockServer.json() }
        try await MockServer.with([server]) { urls in
            try await withPool(urls) { pool in
                let body = #"{ "model" : "m", "prompt":"hé" , "odd": [1, {"model": "x"}] }"#
                let response = try await pool.send(
                    request(body, headers: [("x-request-id", "r1"), ("Authorization", "Bearer client"), ("a b", "c")]))
                #expect(response.text == MockServer.completion)
                #expect(response.member == "up0")
                #expect(response.headers.first { $0.name == "content-type" }?.value == "application/json")
                let figures = response.record.figures
                #expect(figures.promptTokens == 3)
                #expect(figures.completionTokens == 7)
                #expect(figures.members == ["up0"])
                #expect(figures.isComplete)
                let member = try pool.member("up0")
                #expect(member.requests == 1 && member.completionTokens == 7 && member.promptTokens == 3)
                #expect(member.outstandingRequests == 0 && member.outstandingTokens == 0)
            }
        }
        let call = try #require(server.calls.first)
        #expect(call.path == "/v1/completions")
        #expect(
            String(decoding: call.bytes, as: UTF8.self)
                == #"{ "model" : "m", "prompt":"hé" , "odd": [1, {"model": "x"}] }"#)
        #expect(call.headers["x-request-id"] == "r1")
        #expect(call.headers["authorization"] == nil)
        #expect(call.headers["content-type"] == "application/json")
    }

    @Test func theModelsNameIsReplacedAndNothingElse() async throws {
        let server = MockServer { _ in MockServer.json() }
        try await MockServer.with([server]) { urls in
            try await withPool(
                urls.map { $0 + "/some/where/v1/" }, environment: ["KEY": " secret-1\n"],
                each: { upstream, _ in
                    upstream.models = ["m": "org/\"real\"", "n": "other"]
                    upstream.keyVariable = "KEY"
                    upstream.headers = ["x-org": "o"]
                }
            ) { pool in
                _ = try await pool.send(request(#"{"prompt": "m",  "model":"m"}"#, deadline: .now + .seconds(60)))
                _ = try await pool.send(request(#"{"prompt":"m","model":"unmapped"}"#))
                _ = try await pool.send(request(#"{"prompt":"m"}"#))
            }
        }
        let bodies = server.calls.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(
            bodies == [
                #"{"prompt": "m",  "model":"org/\"real\""}"#, #"{"prompt":"m","model":"unmapped"}"#, #"{"prompt":"m"}"#,
            ])
        #expect(server.calls[0].path == "/some/where/v1/completions")
        #expect(server.calls[0].headers["authorization"] == "Bearer secret-1")
        #expect(server.calls[0].headers["x-org"] == "o")
        let left = server.calls[0].headers[UpstreamRequest.timeoutHeader].flatMap { Int($0) } ?? 0
        #expect(left > 0 && left <= 60_000)
        #expect(server.calls[1].headers[UpstreamRequest.timeoutHeader] == nil)
    }

    @Test(arguments: [true, false], [true, false])
    func aStreamGoesThroughAndItsUsageIsCounted(chat: Bool, asked: Bool) async throws {
        let server = MockServer { try CountingModel().answer($0) }
        try await MockServer.with([server]) { urls in
            try await withPool(urls) { pool in
                let options = asked ? #","stream_options":{"include_usage":true}"# : ""
                let what = chat ? #""messages":[{"role":"user","content":"x"}]"# : #""prompt":"Count:""#
                let response = try await pool.send(
                    request(
                        #"{"model":"m",\#(what),"stream":true\#(options)}"#,
                        path: chat ? "/v1/chat/completions" : "/v1/completions"))
                #expect(response.headers.contains { $0.value.hasPrefix("text/event-stream") })
                let transcript = try await response.collect()
                #expect(transcript.text == CountingModel.text(0..<30))
                #expect(transcript.finishes == ["stop"])
                #expect(transcript.usages.count == (asked ? 1 : 0))
                #expect(transcript.roles == (chat ? 1 : 0))
                #expect(transcript.doneCount == 1 && transcript.isDoneLast)
                #expect(transcript.errors.isEmpty)
                let figures = response.record.figures
                #expect(figures.promptTokens == 5 && figures.completionTokens == 30 && figures.isComplete)
                #expect(try pool.member("up0").completionTokens == 30)
            }
        }
        #expect(server.calls.count == 1)
        guard case .bool(true)? = server.calls[0].body["stream_options"]?["include_usage"] else {
            Issue.record("the upstream was not asked for the usage")
            return
        }
    }

    @Test func connectionsAreUsedAgain() async throws {
        let server = MockServer { call in
            call.path == "/v1/completions" ? MockServer.json() : try CountingModel().answer(call)
        }
        try await MockServer.with([server]) { urls in
            try await withPool(urls, each: { upstream, _ in upstream.maxConcurrent = 1 }) { pool in
                for _ in 0..<20 {
                    _ = try await pool.send(request())
                    let chat = #"{"messages":[{"role":"user","content":"x"}],"stream":true}"#
                    _ = try await pool.send(request(chat, path: "/v1/chat/completions")).collect()
                }
            }
        }
        #expect(server.calls.count == 40)
    }

    @Test func aStreamThatIsLeftEndsItsRequest() async throws {
        let server = MockServer { _ in
            MockServer.stream(
                (0..<100_000).map { "data: {\"choices\":[{\"index\":0,\"text\":\"\($0)\"}]}\n\n" },
                pause: .milliseconds(1))
        }
        try await MockServer.with([server]) { urls in
            try await withPool(urls) { pool in
                do {
                    let response = try await pool.send(request(streamRequest))
                    #expect(try pool.member("up0").outstandingRequests == 1)
                    #expect(pool.outstandingTokens == 100)
                    guard case .events(let events) = response.body else { return }
                    for await _ in events { break }
                }
                try await eventually("the request is still open") { try pool.member("up0").outstandingRequests == 0 }
                // A reader that is cancelled in the middle of a wait.
                let reader = Task { try await pool.send(request(streamRequest)).collect() }
                try await eventually("no request") { try pool.member("up0").outstandingRequests == 1 }
                reader.cancel()
                _ = try? await reader.value
                try await eventually("the request is still open") { try pool.member("up0").outstandingRequests == 0 }
                #expect(try pool.member("up0").failures.isEmpty)
            }
        }
    }

    /// Most bytes that the system keeps between two sockets of this machine.
    private static var socketBytes: Int {
        ["tcp_rmem", "tcp_wmem"].reduce(0) { sum, name in
            let text = try? String(contentsOfFile: "/proc/sys/net/ipv4/\(name)", encoding: .utf8)
            return sum + (text?.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) } ?? 16 << 20)
        }
    }

    @Test func aSlowReaderHoldsTheUpstreamBack() async throws {
        let written = Written()
        let part = "data: {\"choices\":[{\"index\":0,\"text\":\"\(String(repeating: "x", count: 8000))\"}]}\n\n"
        let server = MockServer { _ in written.endless(part) }
        try await MockServer.with([server]) { urls in
            try await withPool(urls) { pool in
                let response = try await pool.send(request(streamRequest))
                guard case .events(let events) = response.body else { return }
                var iterator = events.makeAsyncIterator()
                _ = await iterator.next()
                // What sockets and buffers hold is soon full; then the upstream can write no more.
                var last = -1
                while written.count != last {
                    last = written.count
                    try await Task.sleep(for: .milliseconds(300))
                }
                #expect(last < Self.socketBytes + (4 << 20))
                // Reading lets it go on.
                var read = 0
                while read < last + (1 << 20), let events = await iterator.next() { read += events.readableBytes }
                #expect(written.count > last)
            }
        }
    }
}
