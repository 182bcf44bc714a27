import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import MartinetAPI
import MartinetEngine
import MartinetServer
import NIOCore
import Testing

@Suite struct AnthropicRouteTests {
    private static func body(_ fields: String = "") -> String {
        "{\"max_tokens\":50,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]\(fields)}"
    }

    @Test func messages() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let headers: HTTPFields = [
                .init("x-api-key")!: "key", .init("anthropic-version")!: "2023-06-01", .init("X-Session-Id")!: "s",
            ]
            let answer = try await TestServer.post(client, "/v1/messages?beta=true", Self.body(), headers: headers)
            #expect(answer.status == .ok)
            #expect((answer.json["content"] as? [[String: Any]])?.first?["text"] as? String == "hello")
            #expect(answer.headers[.init("request-id")!] == answer.headers[.init("X-Request-Id")!])
            #expect(test.service.last?.session == "s")
            let stream = try await TestServer.post(client, "/v1/messages", Self.body(",\"stream\":true"))
            #expect(stream.text.hasPrefix("event: message_start\ndata: {\"type\":\"message_start\""))
            #expect(stream.text.hasSuffix("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))
            let count = try await TestServer.post(
                client, "/v1/messages/count_tokens", "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}")
            #expect(count.json["input_tokens"] as? Int == 5)
        }
        #expect(test.service.open == 0)
    }

    @Test func errorsHaveTheSurfacesShape() async throws {
        var configuration = ServerConfiguration()
        configuration.maxBodyBytes = 1000
        let test = TestServer(configuration: configuration)
        try await test.server.application().test(.router) { client in
            let cases: [(HTTPRequest.Method, String, String, String, Int, String)] = [
                (.get, "/v1/messages", "", "", 405, "invalid_request_error"),
                (.post, "/v1/messages/batches", "{}", "application/json", 404, "not_found_error"),
                (.post, "/v1/messages", "{}", "text/plain", 415, "invalid_request_error"),
                (
                    .post, "/v1/messages", String(repeating: " ", count: 1001), "application/json", 413,
                    "request_too_large"
                ),
                (.post, "/v1/messages", "not json", "application/json", 400, "invalid_request_error"),
                (.post, "/v1/messages", Self.body(",\"model\":\"x\""), "application/json", 404, "not_found_error"),
                (.post, "/v1/messages/count_tokens", "{}", "application/json", 400, "invalid_request_error"),
            ]
            for (method, path, body, type, status, name) in cases {
                let answer = try await client.execute(
                    uri: path, method: method, headers: type.isEmpty ? [:] : [.contentType: type],
                    body: ByteBuffer(string: body))
                #expect(answer.status.code == status, "\(method) \(path)")
                #expect(answer.json["type"] as? String == "error", "\(method) \(path)")
                #expect(answer.error["type"] as? String == name, "\(method) \(path)")
                #expect(answer.json["request_id"] as? String == answer.headers[.init("request-id")!])
            }
            for (error, status, name) in [
                (EngineError(.queueFull, "full"), 429, "rate_limit_error"),
                (EngineError(.unavailable, "down"), 503, "overloaded_error"),
                (EngineError(.deadlineExceeded, "late"), 504, "timeout_error"),
            ] {
                test.service.update { $0.refusal = error }
                for stream in ["", ",\"stream\":true"] {
                    let answer = try await TestServer.post(client, "/v1/messages", Self.body(stream))
                    #expect(answer.status.code == status && answer.error["type"] as? String == name)
                }
            }
        }
    }

    @Test func brokenStream() async throws {
        var script = ScriptedService.Script()
        script.failsAfter = 2
        try await TestServer(script).server.application().test(.router) { client in
            let answer = try await TestServer.post(client, "/v1/messages", Self.body(",\"stream\":true"))
            #expect(answer.status == .ok)
            let last = try #require(answer.text.components(separatedBy: "\n\n").dropLast().last)
            #expect(last.hasPrefix("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""))
        }
    }
}
