import MartinetJSON
import Foundation
import HTTPTypes
import MartinetAPI
import MartinetFleet
import MartinetUpstreams
import NIOCore
import Testing

/// Members that do everything wrong.
@Suite(.timeLimit(.minutes(2))) struct FailureTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        /// What the server sends.
        var answer: [String]
        var closes = true
        var isStream = false
        var code: UpstreamError.Code
        var status: Int

        var testDescription: String { name }
    }

    static let ok = "HTTP/1.1 200 OK\r\n"
    static let events = ok + "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    static let rows: [Row] = [
        Row(name: "garbage", answer: ["\u{1}\u{2}nonsense\r\n\r\n\r\n"], code: .badAnswer, status: 502),
        Row(name: "closes at once", answer: [], code: .connectionFailed, status: 502),
        Row(name: "half a head", answer: ["HTTP/1.1 200 OK\r\ncontent-ty"], code: .connectionFailed, status: 502),
        Row(
            name: "half a body", answer: [ok + "content-type: application/json\r\ncontent-length: 500\r\n\r\n{\"a\":"],
            code: .connectionFailed, status: 502),
        Row(
            name: "wrong type", answer: [ok + "content-type: text/html\r\ncontent-length: 2\r\n\r\nhi"],
            code: .badAnswer, status: 502),
        Row(name: "no type", answer: [ok + "content-length: 2\r\n\r\n{}"], code: .badAnswer, status: 502),
        Row(
            name: "compressed",
            answer: [ok + "content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"],
            code: .badAnswer, status: 502),
        Row(
            name: "no JSON", answer: [ok + "content-type: application/json\r\ncontent-length: 5\r\n\r\nhello"],
            code: .badAnswer, status: 502),
        Row(
            name: "half JSON", answer: [ok + "content-type: application/json\r\ncontent-length: 5\r\n\r\n{\"a\":"],
            code: .badAnswer, status: 502),
        Row(
            name: "a redirection", answer: ["HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n"],
            code: .badAnswer, status: 502),
        Row(
            name: "a huge head",
            answer: [ok + "x-big: \(String(repeating: "a", count: 70_000))\r\ncontent-length: 0\r\n\r\n"],
            code: .tooLarge, status: 502),
        Row(
            name: "a head without end",
            answer: [ok + (0..<400).map { "x-\($0): \(String(repeating: "a", count: 9000))\r\n" }.joined()],
            code: .tooLarge, status: 502),
        Row(
            name: "a huge answer",
            answer: [
                ok + "content-type: application/json\r\ncontent-length: 300002\r\n\r\n\""
                    + String(repeating: "a", count: 300_000) + "\""
            ], closes: false, code: .tooLarge, status: 502),
        Row(name: "never answers", answer: [], closes: false, code: .timedOut, status: 504),
        Row(name: "never ends its head", answer: [ok], closes: false, code: .timedOut, status: 504),
        Row(
            name: "a stream of JSON",
            answer: [ok + "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"], isStream: true,
            code: .badAnswer, status: 502),
        Row(name: "a stream of nothing", answer: [events + "0\r\n\r\n"], isStream: true, code: .badAnswer, status: 502),
        Row(
            name: "a stream without a token", answer: [events], closes: false, isStream: true, code: .timedOut,
            status: 504),
        Row(
            name: "signs of life alone", answer: [events + "8\r\n: ping\n\n\r\n"], closes: false, isStream: true,
            code: .timedOut, status: 504),
        Row(
            name: "a stream of other events", answer: [events + "c\r\ndata: hello\n\n\r\n"], closes: false,
            isStream: true, code: .badAnswer, status: 502),
        Row(
            name: "an event without end",
            answer: [
                events + (0..<40).map { _ in "2000\r\n" + String(repeating: "a", count: 0x2000) + "\r\n" }.joined()
            ],
            closes: false, isStream: true, code: .tooLarge, status: 502),
        Row(
            name: "an error as the first event",
            answer: [events + "21\r\ndata: {\"error\":{\"message\":\"x\"}}\n\n\r\n"], closes: false, isStream: true,
            code: .failed, status: 502),
        Row(
            name: "a broken chunk", answer: [events + "zz\r\nhello"], closes: false, isStream: true, code: .badAnswer,
            status: 502),
    ]

    @Test(arguments: rows) func badAnswersAreNamed(_ row: Row) async throws {
        try await RawServer.with(row.answer, closes: row.closes) { url in
            try await withPool(
                [url],
                pool: { pool in
                    pool.maxAttempts = 1
                    pool.maxAnswerBytes = 200_000
                    pool.maxEventBytes = 100_000
                },
                each: { upstream, _ in
                    upstream.firstTokenTimeout = .milliseconds(row.code == .timedOut ? 300 : 20_000)
                    upstream.totalTimeout = .milliseconds(row.code == .timedOut ? 300 : 20_000)
                }
            ) { pool in
                let request = try row.isStream ? request(streamRequest) : request()
                let failure = await pool.failure(request)
                let error = try #require(failure)
                #expect(error.code == row.code, "\(error)")
                #expect(error.status == row.status)
                #expect(error.isRetryable)
                #expect(error.message.contains("up0"))
                let member = try pool.member("up0")
                #expect(member.failures == [row.code.description: 1])
                #expect(member.outstandingRequests == 0)
            }
        }
    }

    @Test func nobodyListens() async throws {
        // The port is taken, so that nobody else can listen on it, and nobody does.
        let taken = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(taken) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(taken, $0, size) == 0 && getsockname(taken, $0, &size) == 0
            }
        }
        #expect(isBound)
        try await withPool(["http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"]) { pool in
            let error = try #require(try await pool.failure(request()))
            #expect(error.code == .connectionFailed)
            #expect(error.status == 502)
            #expect(try pool.member("up0").requests == 3)
            // A client's mistake is found before.
            #expect(throws: APIError.self) { try request("{") }
        }
    }

    /// The upstream's status, its body, what the client gets.
    @Test(
        arguments: [
            (400, #"{"error":{"message":"bad n","type":"t","param":"n","code":"c"}}"#, 400, "bad n", "c"),
            (
                404, #"{"object":"error","message":"no such model","type":"NotFoundError","param":null,"code":404}"#,
                404,
                "no such model", "404"
            ),
            (422, #"{"detail":"wrong"}"#, 422, "wrong", nil),
            (413, "<html>", 413, "Upstream up0 answered 413.", nil),
            (400, #"{"error":"key secret-1 is odd"}"#, 400, "key [redacted] is odd", nil),
            (
                401, #"{"error":{"message":"Incorrect API key provided: secret-1"}}"#, 502,
                "Upstream up0 answered 401: it does not take this server's credentials.", "upstream_credentials"
            ),
            (
                403, "secret-1", 502, "Upstream up0 answered 403: it does not take this server's credentials.",
                "upstream_credentials"
            ),
            (429, "{}", 429, "Upstream up0 answered 429: too many requests.", "upstream_rate_limited"),
            (500, "secret-1", 502, "Upstream up0 answered 500.", "upstream_error"),
            (503, "{}", 503, "Upstream up0 answered 503.", "upstream_error"),
            (504, "{}", 504, "Upstream up0 answered 504.", "upstream_error"),
        ] as [(Int, String, Int, String, String?)])
    func statusesAreTranslated(given: Int, body: String, status: Int, message: String, code: String?) async throws {
        let server = MockServer { _ in MockServer.json(body, status: given, headers: ["retry-after": "7"]) }
        try await MockServer.with([server]) { urls in
            try await withPool(
                urls, environment: ["KEY": "secret-1"], pool: { $0.maxAttempts = 1 },
                each: { upstream, _ in upstream.keyVariable = "KEY" }
            ) { pool in
                for stream in [false, true] {
                    // A pause that the member asked for would hide the second answer.
                    if given == 429, stream { continue }
                    let error = try #require(try await pool.failure(stream ? request(streamRequest) : request()))
                    #expect(error.status == status)
                    #expect(error.apiError.status == status)
                    #expect(error.apiError.message == message)
                    #expect(error.apiError.code == code)
                    #expect(error.isRetryable == (given == 429 || given == 401 || given == 403 || given >= 500))
                    if given == 429 || given == 503 { #expect(error.apiError.retryAfter == 7) }
                    #expect(!String(decoding: error.apiError.body, as: UTF8.self).contains("secret"))
                }
                #expect(try pool.member("up0").failures.count == 1)
            }
        }
    }

    @Test func aStreamThatBreaksEndsWithAnError() async throws {
        for (end, code) in [(MockServer.End.cut, "upstream_stream_broken"), (.hang, "upstream_stalled")] {
            let server = MockServer { try CountingModel(breaksAfter: 5, end: end, halfEvent: true).answer($0) }
            try await MockServer.with([server]) { urls in
                try await withPool(
                    urls,
                    each: { upstream, _ in upstream.idleTimeout = end == .hang ? .milliseconds(1500) : .seconds(20) }
                ) { pool in
                    let response = try await pool.send(request(streamRequest))
                    let start = ContinuousClock.now
                    let transcript = try await response.collect()
                    // The first token's longer time must not hold here.
                    #expect(ContinuousClock.now - start < .seconds(30))
                    #expect(transcript.text == CountingModel.text(0..<5))
                    #expect(transcript.errors.count == 1)
                    #expect(transcript.errors.first?["code"]?.string == code)
                    #expect(transcript.doneCount == 1 && transcript.isDoneLast)
                    #expect(response.record.figures.error?.code.description == code)
                    #expect(response.record.figures.completionTokens == 5)
                    let member = try pool.member("up0")
                    #expect(member.failures == [code: 1])
                    #expect(member.outstandingRequests == 0)
                }
            }
            #expect(server.calls.count == 1)
        }
    }

    @Test func aStreamThatEndsEarlyIsNoEnd() async throws {
        let server = MockServer { try CountingModel(breaksAfter: 5, end: .whole).answer($0) }
        let whole = MockServer { _ in
            MockServer.stream([
                "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n",
                "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\r\n\r\n",
            ])
        }
        try await MockServer.with([server, whole]) { urls in
            try await withPool([urls[0]]) { pool in
                let transcript = try await pool.send(request(streamRequest)).collect()
                #expect(transcript.errors.count == 1 && transcript.isDoneLast)
            }
            try await withPool([urls[1]]) { pool in
                // The choice has ended: only the mark is missing.
                let response = try await pool.send(request(streamRequest))
                guard case .events(let events) = response.body else { return }
                var text = ""
                for await buffer in events { text += String(buffer: buffer) }
                #expect(text.hasSuffix("\"stop\"}]}\r\n\r\ndata: [DONE]\n\n"))
                #expect(response.record.figures.error == nil)
            }
        }
    }

    @Test func theDeadlineEndsEverything() async throws {
        let server = MockServer { _ in try await MockServer.never() }
        let slow = MockServer { try CountingModel(count: 100_000, pause: .milliseconds(5)).answer($0) }
        try await MockServer.with([server, slow]) { urls in
            try await withPool([urls[0]]) { pool in
                let past = try #require(try await pool.failure(request(deadline: .now - .seconds(1))))
                #expect(past.code == .deadlineExceeded && past.status == 504)
                #expect(server.calls.isEmpty)
                let soon = try #require(try await pool.failure(request(deadline: .now + .milliseconds(200))))
                #expect(soon.code == .deadlineExceeded)
                // The member is not to blame.
                #expect(try pool.member("up0").breaker == .closed)
            }
            try await withPool([urls[1]], each: { upstream, _ in upstream.allowsContinuation = true }) { pool in
                let long = #"{"prompt":"Count:","stream":true,"max_tokens":100000}"#
                let transcript = try await pool.send(request(long, deadline: .now + .seconds(4))).collect()
                #expect(transcript.errors.first?["code"]?.string == "deadline_exceeded")
                #expect(transcript.isDoneLast && !transcript.text.isEmpty)
            }
        }
    }
}
