import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MartinetAPI
import MartinetEngine
import MartinetServer
import MartinetStorage
import NIOCore
import Testing

/// A server over a scripted service.
struct TestServer {
    let service: ScriptedService
    let server: MartinetServer

    init(
        _ script: ScriptedService.Script = .init(), configuration: ServerConfiguration = .init(),
        storage: Storage? = nil
    ) {
        service = ScriptedService(script)
        var configuration = configuration
        configuration.port = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        server = MartinetServer(
            directory: ModelDirectory([
                Deployment(
                    model: ServedModel(
                        names: ["tiny", "org/tiny"], root: "tiny", created: 1, maxModelLength: 4096,
                        tokenizer: ByteTokenizer()),
                    service: service)
            ]), storage: storage, configuration: configuration, logger: logger)
    }

    /// Any free port.
    static var local: ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.port = 0
        return configuration
    }

    /// Posts JSON and gives status and body.
    static func post(
        _ client: any TestClientProtocol, _ path: String, _ body: String, headers: HTTPFields = [:]
    ) async throws -> TestResponse {
        var headers = headers
        if headers[.contentType] == nil { headers[.contentType] = "application/json" }
        return try await client.execute(uri: path, method: .post, headers: headers, body: ByteBuffer(string: body))
    }
}

extension TestResponse {
    var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(String(buffer: body).utf8)) as? [String: Any]) ?? [:]
    }
    var text: String { String(buffer: body) }
    var error: [String: Any] { json["error"] as? [String: Any] ?? [:] }
}

@Suite struct RouteTests {
    @Test func headersSayDeadlineAndSession() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let begin = ContinuousClock.now
            for (path, body) in [
                ("/generate", "{\"prompt\":\"a\"}"), ("/v1/completions", "{\"prompt\":\"a\"}"),
                ("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"),
            ] {
                let headers: HTTPFields = [.init("X-Request-Timeout")!: "1.5", .init("X-Session-Id")!: path]
                let answer = try await TestServer.post(client, path, body, headers: headers)
                #expect(answer.status == .ok)
                let deadline = try #require(test.service.last?.deadline)
                #expect(deadline > begin + .seconds(1) && deadline < .now + .seconds(2))
                #expect(test.service.last?.session == path)
            }
            for timeout in ["0", "-1", "soon", "nan", "1e300"] {
                let answer = try await TestServer.post(
                    client, "/generate", "{\"prompt\":\"a\"}", headers: [.init("X-Request-Timeout")!: timeout])
                #expect(answer.status == .badRequest, "\(timeout)")
                #expect((answer.error["message"] as? String)?.contains("X-Request-Timeout") == true)
            }
            test.service.update { $0.refusal = EngineError(.deadlineExceeded, "late") }
            let late = try await TestServer.post(client, "/generate", "{\"prompt\":\"a\"}")
            #expect(late.status == .gatewayTimeout)
            #expect(late.error["code"] as? String == "deadline_exceeded")
        }
    }

    @Test func native() async throws {
        try await TestServer().server.application().test(.router) { client in
            let answer = try await TestServer.post(client, "/generate", "{\"prompt\":\"hello\",\"n\":2}")
            #expect(answer.status == .ok)
            let outputs = try #require(answer.json["outputs"] as? [[String: Any]])
            #expect(outputs.map { $0["text"] as? String } == ["hello", "hello"])
            #expect(outputs.map { $0["finish_reason"] as? String } == ["length", "length"])
            #expect((answer.json["usage"] as? [String: Any])?["completion_tokens"] as? Int == 10)
            #expect(answer.headers[.init("X-Request-Id")!]?.count == 24)

            let batch = try await TestServer.post(client, "/generate_batch", "{\"prompts\":[\"a\",\"bb\",[99]]}")
            let texts = (batch.json["outputs"] as? [[String: Any]])?.map { $0["text"] as? String }
            #expect(texts == ["a", "bb", "c"])

            let stream = try await TestServer.post(client, "/generate", "{\"prompt\":\"hey\",\"stream\":true}")
            #expect(stream.headers[.contentType]?.hasPrefix("text/event-stream") == true)
            #expect(stream.text.contains("\"text\":\"h\"") || stream.text.contains("\"text\":\"hey\""))
            #expect(stream.text.hasSuffix("data: [DONE]\n\n"))
        }
    }

    @Test func openAI() async throws {
        try await TestServer().server.application().test(.router) { client in
            let chat = try await TestServer.post(
                client, "/v1/chat/completions",
                "{\"model\":\"org/tiny\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"yo\"}]}]}"
            )
            let choice = (chat.json["choices"] as? [[String: Any]])?.first
            #expect((choice?["message"] as? [String: Any])?["content"] as? String == "yo")

            let completion = try await TestServer.post(
                client, "/v1/completions", "{\"prompt\":[\"ab\",\"cd\"],\"echo\":true,\"max_tokens\":1,\"n\":2}")
            let choices = (completion.json["choices"] as? [[String: Any]]) ?? []
            #expect(choices.map { $0["text"] as? String } == ["aba", "aba", "cdc", "cdc"])
            #expect(choices.map { $0["index"] as? Int } == [0, 1, 2, 3])

            let scored = try await TestServer.post(
                client, "/v1/completions", "{\"prompt\":\"ab\",\"echo\":true,\"max_tokens\":0}")
            #expect((scored.json["choices"] as? [[String: Any]])?.first?["text"] as? String == "ab")
            #expect((scored.json["usage"] as? [String: Any])?["completion_tokens"] as? Int == 0)
        }
    }

    @Test func tokensAndModels() async throws {
        try await TestServer().server.application().test(.router) { client in
            let tokens = try await TestServer.post(
                client, "/tokenize", "{\"prompt\":\"hi\",\"return_token_strs\":true}")
            #expect(tokens.json["tokens"] as? [Int] == [104, 105])
            #expect(tokens.json["token_strs"] as? [String] == ["<104>", "<105>"])
            #expect(tokens.json["max_model_len"] as? Int == 4096)
            let text = try await TestServer.post(client, "/detokenize", "{\"tokens\":[104,105]}")
            #expect(text.json["prompt"] as? String == "hi")
            let models = try await client.execute(uri: "/v1/models", method: .get)
            #expect((models.json["data"] as? [[String: Any]])?.map { $0["id"] as? String } == ["tiny", "org/tiny"])
            for (path, status) in [
                ("/v1/models/tiny", 200), ("/v1/models/org/tiny", 200), ("/v1/models/org%2Ftiny", 200),
                ("/v1/models/other", 404),
            ] {
                #expect(try await client.execute(uri: path, method: .get).status.code == status, "\(path)")
            }
        }
    }

    @Test func httpErrors() async throws {
        var configuration = ServerConfiguration()
        configuration.maxBodyBytes = 1000
        try await TestServer(configuration: configuration).server.application().test(.router) { client in
            let cases: [(HTTPRequest.Method, String, String, String, Int, String)] = [
                (.get, "/generate", "", "", 405, "method_not_allowed"),
                (.delete, "/v1/chat/completions", "", "", 405, "method_not_allowed"),
                (.post, "/health", "{}", "application/json", 405, "method_not_allowed"),
                (.get, "/nothing", "", "", 404, "not_found"),
                (.post, "/v1/nothing", "{}", "application/json", 404, "not_found"),
                (.post, "/generate", "{\"prompt\":\"a\"}", "text/plain", 415, "unsupported_media_type"),
                (.post, "/generate", "prompt=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
                (.post, "/generate", String(repeating: " ", count: 1001), "application/json", 413, "request_too_large"),
                (.post, "/generate", "not json", "application/json", 400, "invalid_json"),
                (.post, "/generate", "{\"prompt\":\"a\",\"model\":\"x\"}", "application/json", 404, "model_not_found"),
            ]
            for (method, path, body, type, status, code) in cases {
                let answer = try await client.execute(
                    uri: path, method: method, headers: type.isEmpty ? [:] : [.contentType: type],
                    body: ByteBuffer(string: body))
                #expect(answer.status.code == status, "\(method) \(path)")
                #expect(answer.error["code"] as? String == code, "\(method) \(path)")
                #expect(answer.error["message"] is String)
                #expect(answer.headers[.contentType] == "application/json")
            }
            // JSON without a declared type is taken.
            let plain = try await client.execute(
                uri: "/generate", method: .post, body: ByteBuffer(string: "{\"prompt\":\"a\"}"))
            #expect(plain.status == .ok)
        }
    }

    @Test func headHasNoBody() async throws {
        try await TestServer().server.application().test(.router) { client in
            for (path, status) in [("/health", 200), ("/v1/models/tiny", 200), ("/generate", 405), ("/nothing", 404)] {
                let answer = try await client.execute(uri: path, method: .head)
                #expect(answer.status.code == status, "\(path)")
                #expect(answer.body.readableBytes == 0, "\(path)")
            }
        }
    }

    @Test func requestIDs() async throws {
        let name = try #require(HTTPField.Name("X-Request-Id"))
        try await TestServer().server.application().test(.router) { client in
            let kept = try await TestServer.post(client, "/generate", "{\"prompt\":\"a\"}", headers: [name: "abc-1"])
            #expect(kept.headers[name] == "abc-1")
            #expect(kept.json["request_id"] as? String == "gen-abc-1")
            for bad in ["has space", String(repeating: "x", count: 200)] {
                let answer = try await client.execute(uri: "/health", method: .get, headers: [name: bad])
                #expect(answer.headers[name]?.count == 24)
            }
        }
    }

    @Test func engineRefusals() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            for (error, status, retries) in [
                (EngineError(.queueFull, "full"), 429, true), (EngineError(.unavailable, "down"), 503, true),
                (EngineError(.contextLengthExceeded, "long", parameter: "prompt"), 400, false),
                (EngineError(.invalidParameter, "bad", parameter: "top_k"), 400, false),
            ] {
                test.service.update { $0.refusal = error }
                for body in ["{\"prompt\":\"a\"}", "{\"prompt\":\"a\",\"stream\":true}"] {
                    let answer = try await TestServer.post(client, "/generate", body)
                    #expect(answer.status.code == status)
                    #expect((answer.headers[.retryAfter] != nil) == retries)
                    #expect(answer.error["message"] as? String == error.message)
                    #expect(answer.error["param"] as? String == error.parameter)
                }
            }
        }
        #expect(test.service.open == 0)
    }

    @Test func brokenStream() async throws {
        var script = ScriptedService.Script()
        script.failsAfter = 2
        try await TestServer(script).server.application().test(.router) { client in
            let answer = try await TestServer.post(
                client, "/v1/completions", "{\"prompt\":\"abcdef\",\"stream\":true}")
            #expect(answer.status == .ok)
            #expect(answer.text.contains("\"error\":{\"message\":\"broken\""))
            #expect(answer.text.hasSuffix("data: [DONE]\n\n"))
            let whole = try await TestServer.post(client, "/v1/completions", "{\"prompt\":\"abcdef\"}")
            #expect(whole.status.code == 503)
        }
    }
}
