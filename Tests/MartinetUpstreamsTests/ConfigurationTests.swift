import Foundation
import MartinetFleet
import MartinetUpstreams
import Testing

@Suite struct ConfigurationTests {
    private func decode(_ json: String) throws -> UpstreamPoolConfiguration {
        let configuration = try JSONDecoder().decode(UpstreamPoolConfiguration.self, from: Data(json.utf8))
        try configuration.validate()
        return configuration
    }

    @Test func everythingIsRead() throws {
        let configuration = try decode(
            """
            {"name": "cloud", "max_attempts": 5, "retry_share": 0.1, "retries_per_second": 2, "backoff": 0.1,
             "maximum_backoff": 1.5, "max_retry_after": 3, "max_continuations": 1, "max_queued": 7, "queue_timeout": 2,
             "max_answer_bytes": 4096, "max_event_bytes": 2048, "max_head_bytes": 1024,
             "breaker": {"failures": 2, "failure_share": 0.2, "window": 5, "minimum_count": 9, "cool_down": 0.5,
                         "maximum_cool_down": 8, "trials": 3, "successes": 4},
             "hedging": {"enabled": true, "delay": 0.2, "share": 0.01},
             "upstreams": [
               {"name": "a", "url": "https://api.example.com/v1", "api_key_env": "KEY", "headers": {"x-a": "b"},
                "models": {"m": "n"}, "connect_timeout": 1, "first_token_timeout": 2, "idle_timeout": 3,
                "total_timeout": 4, "max_concurrent": 5, "allow_continuation": true, "ask_for_usage": false,
                "probe": {"enabled": false, "interval": 6, "timeout": 7, "model": "p", "path": "/v1/chat/completions"}},
               {"discovery": "file", "members_file": "/x", "refresh_interval": 1, "api_key_file": "/y"},
               {"discovery": "dns", "url": "http://workers:8000"}]}
            """)
        #expect(configuration.maxAttempts == 5 && configuration.backoff.maximum == .milliseconds(1500))
        #expect(configuration.breaker.maximumCoolDown == .seconds(8) && configuration.breaker.trials == 3)
        #expect(configuration.hedging.isEnabled && configuration.hedging.share == 0.01)
        let first = configuration.upstreams[0]
        #expect(first.models == ["m": "n"] && first.totalTimeout == .seconds(4) && first.allowsContinuation)
        #expect(first.probe.model == "p" && !first.probe.isEnabled && !first.asksForUsage)
        #expect(configuration.upstreams[1].discovery == .file && configuration.upstreams[2].discovery == .dns)
    }

    /// What is wrong, and the field that the error names.
    @Test(arguments: [
        (#"{"upstreams":[]}"#, "upstreams"),
        (#"{"upstreams":[{"url":"http://a"}],"retires":1}"#, "retires"),
        (#"{"upstreams":[{"url":"http://a","timeout":1}]}"#, "timeout"),
        (#"{"upstreams":[{"url":"http://a","probe":{"every":1}}]}"#, "every"),
        (#"{"upstreams":[{"url":"http://a","breaker":{}}]}"#, "breaker"),
        (#"{"upstreams":[{"url":"ftp://a"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"url":"nonsense"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"url":"http://a:0"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"url":"http://a:99999"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"url":"http://user:key@a"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"url":"http://a?x=1"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"url":"http://a"},{"url":"https://b","discovery":"dns"}]}"#, "upstreams[1].url"),
        (#"{"upstreams":[{"url":"http://a","discovery":"file","members_file":"x"}]}"#, "upstreams[0].url"),
        (#"{"upstreams":[{"discovery":"file"}]}"#, "upstreams[0].members_file"),
        (#"{"upstreams":[{"url":"http://a","members_file":"x"}]}"#, "upstreams[0].members_file"),
        (#"{"upstreams":[{"url":"http://a","name":"a b"}]}"#, "upstreams[0].name"),
        (#"{"upstreams":[{"url":"http://a","name":"a\r\nb"}]}"#, "upstreams[0].name"),
        (#"{"upstreams":[{"url":"http://a","headers":{"a b":"c"}}]}"#, "upstreams[0].headers"),
        (#"{"upstreams":[{"url":"http://a","headers":{"a":"c\r\nd: e"}}]}"#, "upstreams[0].headers"),
        (#"{"upstreams":[{"url":"http://a","headers":{"Authorization":"c"}}]}"#, "upstreams[0].headers"),
        (#"{"upstreams":[{"url":"http://a","api_key_env":"A","api_key_file":"b"}]}"#, "upstreams[0].api_key_file"),
        (#"{"upstreams":[{"url":"http://a","connect_timeout":0}]}"#, "upstreams[0].connect_timeout"),
        (#"{"upstreams":[{"url":"http://a","idle_timeout":-1}]}"#, "upstreams[0].idle_timeout"),
        (#"{"upstreams":[{"url":"http://a","total_timeout":1e300}]}"#, "total_timeout"),
        (#"{"upstreams":[{"url":"http://a","max_concurrent":0}]}"#, "upstreams[0].max_concurrent"),
        (#"{"upstreams":[{"url":"http://a","probe":{"path":"/x"}}]}"#, "upstreams[0].probe.path"),
        (#"{"upstreams":[{"url":"http://a","models":{"a":""}}]}"#, "upstreams[0].models"),
        (#"{"upstreams":[{"url":"http://a"}],"max_attempts":0}"#, "max_attempts"),
        (#"{"upstreams":[{"url":"http://a"}],"breaker":{"failure_share":0}}"#, "breaker.failure_share"),
        (
            #"{"upstreams":[{"url":"http://a"}],"breaker":{"cool_down":9,"maximum_cool_down":8}}"#,
            "breaker.maximum_cool_down"
        ),
        (#"{"upstreams":[{"url":"http://a"}],"hedging":{"share":2}}"#, "hedging.share"),
    ]) func mistakesAreNamed(json: String, field: String) throws {
        #expect {
            try decode(json)
        } throws: { error in
            (error as? UpstreamConfigurationError)?.field == field
        }
    }

    @Test func aKeyMustBeThere() async throws {
        for (variable, environment) in [("KEY", [:]), ("KEY", ["KEY": " \n"]), ("KEY", ["KEY": "a\nb"])] {
            await #expect {
                try await withPool(
                    ["http://127.0.0.1:1"], environment: environment,
                    each: {
                        $0.keyVariable = variable; _ = $1
                    }
                ) { _ in }
            } throws: { error in
                (error as? UpstreamConfigurationError)?.field == "api_key_env"
            }
        }
        await #expect {
            try await withPool(
                ["http://127.0.0.1:1"],
                each: {
                    $0.keyFile = "/nowhere/key"; _ = $1
                }
            ) { _ in }
        } throws: { error in
            (error as? UpstreamConfigurationError)?.field == "api_key_file"
        }
        await #expect {
            try await withPool(
                ["http://127.0.0.1:1", "http://127.0.0.1:2"],
                each: {
                    $0.name = "a"; _ = $1
                }
            ) { _ in }
        } throws: { error in
            (error as? UpstreamConfigurationError)?.field == "upstreams"
        }
    }

    @Test func aKeyFileIsReadAgain() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("key-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try Data("first\n".utf8).write(to: URL(fileURLWithPath: file))
        let server = MockServer { call in
            MockServer.json("{\"key\":\"\(call.headers["authorization"] ?? "")\"}")
        }
        try await MockServer.with([server]) { urls in
            try await withPool(urls, each: { upstream, _ in upstream.keyFile = file }) { pool in
                #expect(try await pool.send(request()).text.contains("Bearer first"))
                try Data("the-second".utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
                try await eventually("the old key") {
                    try await pool.send(request()).text.contains("Bearer the-second")
                }
                try Data("bro ken".utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
                try await eventually("not reported") {
                    _ = try await pool.send(request())
                    return try pool.member("up0").credentialProblem != nil
                }
                #expect(try await pool.send(request()).text.contains("Bearer the-second"))
            }
        }
    }
}
