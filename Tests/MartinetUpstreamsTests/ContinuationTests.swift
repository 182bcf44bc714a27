import MartinetJSON
import Foundation
import MartinetAPI
import MartinetFleet
import MartinetUpstreams
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct ContinuationTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var path = "/v1/completions"
        var what = #""prompt":"Count:""#
        var breaksAfter = 7
        var end = MockServer.End.cut
        var halfEvent = false
        var limit = #","max_tokens":100"#
        var asksUsage = false
        var tokens = 30

        var testDescription: String { name }
    }

    static let chat = #""messages":[{"role":"user","content":"x"}]"#
    static let rows: [Row] = [
        Row(name: "completion"),
        Row(name: "half an event", halfEvent: true),
        Row(name: "a silent end", end: .whole),
        Row(name: "a stall", end: .hang, halfEvent: true),
        Row(name: "after one token", breaksAfter: 1),
        Row(name: "before the end", breaksAfter: 30),
        Row(name: "usage", asksUsage: true),
        Row(name: "limited", limit: #","max_tokens":20,"min_tokens":10"#, tokens: 20),
        Row(name: "the default limit", limit: "", tokens: 16),
        Row(name: "chat", path: "/v1/chat/completions", what: chat, limit: ""),
        Row(
            name: "chat limited", path: "/v1/chat/completions", what: chat, halfEvent: true,
            limit: #","max_completion_tokens":12"#, asksUsage: true, tokens: 12),
        Row(
            name: "chat that continues already", path: "/v1/chat/completions",
            what: #""messages":[{"role":"user","content":"x"},{"content":"","role":"assistant"}],"#
                + #""continue_final_message":true,"add_generation_prompt":false"#, limit: ""),
    ]

    @Test(arguments: rows) func theTextIsTheSame(_ row: Row) async throws {
        let first = MockServer {
            try CountingModel(name: "alpha", breaksAfter: row.breaksAfter, end: row.end, halfEvent: row.halfEvent)
                .answer($0)
        }
        let second = MockServer { try CountingModel(name: "beta").answer($0) }
        try await MockServer.with([first, second]) { urls in
            try await withPool(
                urls,
                each: { upstream, index in
                    upstream.allowsContinuation = index == 1
                    upstream.idleTimeout = .milliseconds(row.end == .hang && index == 0 ? 1500 : 20_000)
                }
            ) { pool in
                let options = row.asksUsage ? #","stream_options":{"include_usage":true}"# : ""
                let json = #"{"model":"m",\#(row.what),"stream":true\#(row.limit)\#(options)}"#
                let response = try await pool.send(request(json, path: row.path))
                let transcript = try await response.collect()
                #expect(transcript.text == CountingModel.text(0..<row.tokens))
                #expect(transcript.finishes == [row.tokens == 30 ? "stop" : "length"])
                #expect(transcript.errors.isEmpty && transcript.doneCount == 1 && transcript.isDoneLast)
                #expect(transcript.ids == ["alpha-1"] && transcript.models == ["alpha"])
                #expect(transcript.comments == [#": continued on up1 model "beta""#])
                #expect(transcript.roles == (row.path.contains("chat") ? 1 : 0))
                let figures = response.record.figures
                #expect(figures.members == ["up0", "up1"] && figures.continuations == 1)
                #expect(figures.completionTokens == row.tokens && figures.error == nil)
                if row.asksUsage {
                    #expect(transcript.usages.count == 1)
                    #expect(transcript.usages.first?["completion_tokens"]?.integer == row.tokens)
                    #expect(transcript.usages.first?["prompt_tokens"]?.integer == 5)
                    #expect(transcript.usages.first?["total_tokens"]?.integer == row.tokens + 5)
                } else {
                    #expect(transcript.usages.isEmpty)
                }
                #expect(try pool.member("up1").continuations == 1)
                #expect(try pool.member("up0").outstandingRequests == 0)
            }
        }
        #expect(second.calls.count == 1)
    }

    @Test func theSameMemberGoesOnSeveralTimes() async throws {
        let server = MockServer { try CountingModel(breaksAfter: 8).answer($0) }
        try await MockServer.with([server]) { urls in
            try await withPool(urls, each: { upstream, _ in upstream.allowsContinuation = true }) { pool in
                let response = try await pool.send(request(streamRequest))
                let transcript = try await response.collect()
                #expect(transcript.text == CountingModel.text(0..<30))
                #expect(transcript.comments.count == 3 && transcript.errors.isEmpty)
                #expect(response.record.figures.continuations == 3)
            }
            // No more often than allowed.
            try await withPool(
                urls, pool: { $0.maxContinuations = 2 }, each: { upstream, _ in upstream.allowsContinuation = true }
            ) { pool in
                let transcript = try await pool.send(request(streamRequest)).collect()
                #expect(transcript.text == CountingModel.text(0..<24))
                #expect(transcript.errors.count == 1 && transcript.isDoneLast)
            }
        }
    }

    @Test func aStreamWithoutTokensLeftIsWhole() async throws {
        let server = MockServer { try CountingModel(breaksAfter: 10).answer($0) }
        try await MockServer.with([server]) { urls in
            try await withPool(urls, each: { upstream, _ in upstream.allowsContinuation = true }) { pool in
                // All tokens came, only the last event did not.
                let json = #"{"prompt":"Count:","stream":true,"max_tokens":10}"#
                let transcript = try await pool.send(request(json)).collect()
                #expect(transcript.text == CountingModel.text(0..<10))
                #expect(transcript.finishes == ["length"] && transcript.errors.isEmpty && transcript.isDoneLast)
            }
        }
        #expect(server.calls.count == 1)
    }

    /// What cannot be continued, and a word of the reason that the client gets.
    @Test(arguments: [
        (#""prompt":["Count:"]"#, "prompt"), (#""prompt":"Count:","n":2"#, "choices"),
        (#""prompt":"Count:","echo":true"#, "prompt back"),
        (#""prompt":"Count:","response_format":{"type":"json_object"}"#, "format"),
    ]) func whatCannotBeContinuedSaysWhy(what: String, reason: String) async throws {
        let server = MockServer { _ in
            MockServer.stream(["data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n"], end: .cut)
        }
        try await MockServer.with([server]) { urls in
            try await withPool(urls, each: { upstream, _ in upstream.allowsContinuation = true }) { pool in
                let transcript = try await pool.send(request("{\(what),\"stream\":true}")).collect()
                #expect(transcript.text == "a")
                #expect(transcript.errors.first?["message"]?.string?.contains(reason) == true)
                #expect(transcript.isDoneLast)
            }
        }
        #expect(server.calls.count == 1)
    }
}
