import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MartinetAPI
import MartinetEngine
import MartinetFleet
import MartinetServer
import Testing

/// Rules over pools that are scripted services.
@Suite(.timeLimit(.minutes(2))) struct RulesTests {
    private struct Pools {
        let main = ScriptedService()
        let other = ScriptedService()
        let server: MartinetServer

        init(_ rules: String, capacity: Int = 256) throws {
            let directory = ModelDirectory([])
            directory.replace(
                with: [("main", main), ("other", other)].map { name, service in
                    Deployment(
                        model: .init(
                            names: [name], root: name, created: 1, maxModelLength: 4096, tokenizer: ByteTokenizer()),
                        service: service, capacity: capacity)
                }, rules: try JSONDecoder().decode(RoutingTable.self, from: Data(rules.utf8)))
            server = MartinetServer(
                directory: directory, configuration: TestServer.local,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        var counts: [Int] { [main.started, other.started] }
    }

    private func ask(
        _ client: any TestClientProtocol, _ fields: String = "", headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        try await TestServer.post(
            client, "/v1/completions", "{\"model\":\"main\",\"prompt\":\"hello\"\(fields)}", headers: headers)
    }

    @Test func conditionsChooseThePool() async throws {
        let pools = try Pools(
            """
            [{"name": "big", "when": {"max_tokens": {"min": 100}}, "to": "other"},
             {"name": "team", "when": {"headers": {"x-team": "ads"}, "class": "batch"}, "to": "other"}]
            """)
        try await pools.server.application().test(.router) { client in
            _ = try await ask(client)
            #expect(pools.counts == [1, 0])
            // The model that answers is the pool's, whatever name was asked for.
            let big = try await ask(client, ",\"max_tokens\":100")
            #expect(big.status == .ok)
            #expect(big.json["model"] as? String == "other")
            #expect(pools.counts == [1, 1])
            let headers: HTTPFields = [.init("X-Team")!: "ads", .init("X-Request-Class")!: "batch"]
            _ = try await ask(client, headers: headers)
            #expect(pools.counts == [1, 2])
            _ = try await ask(client, headers: [.init("X-Team")!: "ads"])
            #expect(pools.counts == [2, 2])
        }
    }

    @Test func weightsAreKeptAndSessionsStay() async throws {
        let pools = try Pools(
            """
            [{"name": "canary", "to": [{"pool": "main", "weight": 3}, {"pool": "other", "weight": 1}]}]
            """)
        try await pools.server.application().test(.router) { client in
            for number in 0..<200 {
                _ = try await ask(client, headers: [.init("X-Session-Id")!: "session \(number)"])
            }
            #expect((30...70).contains(pools.other.started), "\(pools.counts)")
            let before = pools.counts
            for _ in 0..<10 { _ = try await ask(client, headers: [.init("X-Session-Id")!: "session 1"]) }
            #expect(zip(pools.counts, before).map { $0 - $1 }.sorted() == [0, 10])
        }
    }

    @Test(arguments: [
        (EngineError.Code.queueFull, "overload", 200), (.unavailable, "unavailable", 200),
        (.contextLengthExceeded, "context_too_long", 200), (.queueFull, "unavailable", 429),
        (.unavailable, "overload", 503), (.invalidParameter, "error", 400), (.deadlineExceeded, "error", 504),
    ])
    func fallbacks(code: EngineError.Code, on: String, status: Int) async throws {
        let pools = try Pools(
            """
            [{"name": "all", "to": "main", "fallbacks": [{"pool": "other", "on": "\(on)"}]}]
            """)
        pools.main.update { $0.refusal = EngineError(code, "no") }
        try await pools.server.application().test(.router) { client in
            for fields in ["", ",\"stream\":true"] {
                let answer = try await ask(client, fields)
                #expect(Int(answer.status.code) == status, "\(fields)")
            }
            #expect(pools.other.started == (status == 200 ? 2 : 0))
        }
    }

    @Test func aFailureBeforeTheFirstTokenGoesOn() async throws {
        let pools = try Pools(
            """
            [{"name": "all", "to": "main", "fallbacks": "other"}]
            """)
        // The engine takes the request and breaks before it gives anything but the prompt's event.
        pools.main.update { $0.failsAtOnce = true }
        try await pools.server.application().test(.router) { client in
            let stream = try await ask(client, ",\"stream\":true")
            #expect(stream.status == .ok)
            #expect(stream.text.hasSuffix("data: [DONE]\n\n"))
            #expect(!stream.text.contains("error"))
            #expect(try await ask(client).status == .ok)
            #expect(pools.counts == [2, 2])
        }
    }

    @Test func overflowBeginsAtItsThreshold() async throws {
        let pools = try Pools(
            """
            [{"name": "all", "to": "main", "fallbacks": [{"pool": "other", "saturation": 0.5}]}]
            """)
        try await pools.server.application().test(.router) { client in
            pools.main.update { ($0.figures.totalBlocks, $0.figures.usedBlocks) = (100, 49) }
            _ = try await ask(client)
            #expect(pools.counts == [1, 0])
            pools.main.update { $0.figures.usedBlocks = 50 }
            _ = try await ask(client)
            #expect(pools.counts == [1, 1])
        }
    }

    @Test func mirrorsGetACopyThatCountsNowhere() async throws {
        let pools = try Pools(
            """
            [{"name": "all", "to": "main", "mirrors": "other"}]
            """)
        try await pools.server.application().test(.live) { client in
            for fields in ["", ",\"stream\":true"] {
                #expect(try await ask(client, fields).status == .ok)
            }
            for _ in 0..<2000 where pools.other.started < 2 || pools.other.open > 0 {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(pools.counts == [2, 2])
            #expect(pools.other.open == 0)
            pools.other.update { $0.refusal = EngineError(.queueFull, "no") }
            #expect(try await ask(client).status == .ok)
            let metrics = try await client.execute(uri: "/metrics", method: .get).text
            #expect(metrics.contains("vllm_requests_total 3\n"))
            #expect(metrics.contains("vllm_requests_failed_total 0\n"))
            #expect(metrics.contains("vllm:e2e_request_latency_seconds_count{model_name=\"other\",engine=\"0\"} 0\n"))
        }
    }
}
