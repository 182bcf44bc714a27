import Foundation
import Hummingbird
import HummingbirdTesting
import MartinetEngine
import MartinetServer
import Testing

@Suite struct StatusTests {
    @Test func healthy() async throws {
        try await TestServer().server.application().test(.live) { client in
            for (path, status) in [
                ("/health", "healthy"), ("/livez", "alive"), ("/readyz", "ready"), ("/startupz", "started"),
            ] {
                let answer = try await client.execute(uri: path, method: .get)
                #expect(answer.status == .ok, "\(path)")
                #expect(answer.json["status"] as? String == status)
            }
            let version = try await client.execute(uri: "/version", method: .get)
            #expect(version.json["version"] as? String == ServerConfiguration().version)
        }
    }

    @Test func failedAndWedged() async throws {
        let test = TestServer()
        try await test.server.application().test(.live) { client in
            test.service.update { $0.figures.failure = "out of memory" }
            let failed = try await client.execute(uri: "/health", method: .get)
            #expect(failed.status == .serviceUnavailable)
            #expect(failed.json["status"] as? String == "unhealthy")
            #expect(failed.json["reason"] as? String == "out of memory")
            #expect(try await client.execute(uri: "/readyz", method: .get).status == .serviceUnavailable)
            #expect(try await client.execute(uri: "/livez", method: .get).status == .ok)

            test.service.update { script in
                script.figures.failure = nil
                script.figures.secondsSinceProgress = 1000
            }
            for path in ["/health", "/livez", "/readyz"] {
                #expect(try await client.execute(uri: path, method: .get).status == .serviceUnavailable, "\(path)")
            }
            test.service.update { $0.figures.secondsSinceProgress = 0 }
            #expect(try await client.execute(uri: "/health", method: .get).status == .ok)
        }
    }

    @Test func metrics() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            test.service.update { script in
                script.figures.totalBlocks = 100
                script.figures.usedBlocks = 25
                script.figures.generatedTokens = 7
                script.figures.finished = [.stop: 3]
                (script.figures.drafts, script.figures.draftTokens) = (2, 9)
                script.figures.acceptedDraftTokens = 5
            }
            _ = try await TestServer.post(client, "/generate", "{\"prompt\":\"abc\"}")
            _ = try await TestServer.post(client, "/generate", "{\"prompt\":\"abc\",\"stream\":true}")
            _ = try await TestServer.post(client, "/generate", "{}")
            let answer = try await client.execute(uri: "/metrics", method: .get)
            #expect(answer.headers[.contentType]?.hasPrefix("text/plain; version=0.0.4") == true)
            let lines = Set(answer.text.split(separator: "\n").map(String.init))
            for line in [
                "vllm_requests_total 2", "vllm_requests_success_total 2", "vllm_requests_failed_total 0",
                "vllm_request_latency_seconds_count 2", "# TYPE vllm_batch_size gauge",
                "# TYPE vllm_gpu_utilization gauge",
                "# TYPE vllm_memory_usage_bytes gauge", "vllm_tokens_generated_total 7",
                "# TYPE vllm_tokens_per_second gauge",
                "vllm:kv_cache_usage_perc{model_name=\"tiny\",engine=\"0\"} 0.25",
                "vllm:num_requests_running{model_name=\"tiny\",engine=\"0\"} 0",
                "vllm:request_success_total{model_name=\"tiny\",engine=\"0\",finished_reason=\"stop\"} 3",
                "vllm:spec_decode_num_drafts_total{model_name=\"tiny\",engine=\"0\"} 2",
                "vllm:spec_decode_num_draft_tokens_total{model_name=\"tiny\",engine=\"0\"} 9",
                "vllm:spec_decode_num_accepted_tokens_total{model_name=\"tiny\",engine=\"0\"} 5",
                "vllm:time_to_first_token_seconds_count{model_name=\"tiny\",engine=\"0\"} 2",
                "vllm:e2e_request_latency_seconds_count{model_name=\"tiny\",engine=\"0\"} 2",
                "http_requests_total{method=\"POST\",status=\"200\",handler=\"/generate\"} 2",
                "http_requests_total{method=\"POST\",status=\"400\",handler=\"/generate\"} 1",
                "martinet_kv_blocks_used 25",
            ] {
                #expect(lines.contains(line), "\(line)")
            }
        }
    }
}
