import GRPCCore
import GRPCProtobuf
import Hummingbird
import HummingbirdTesting
import MartinetEngine
import MartinetInferenceProtocol
import MartinetServer
import SwiftProtobuf
import Testing

/// `martinet.v1` over a live port, with the client of grpc-swift.
@Suite struct InferenceRPCTests {
    private static func request(_ text: String, maxTokens: Int64 = 1000) -> RPCGenerateRequest {
        .with {
            $0.text = text
            $0.sampling.maxTokens = maxTokens
        }
    }

    @Test func aWholeAnswer() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            var request = Self.request("hello")
            request.sampling.n = 2
            request.sampling.seed = -5
            let answer = try await inference.generate(request, metadata: ["x-session-id": "s1"])
            #expect(answer.model == "tiny")
            #expect(answer.outputs.map(\.text) == ["hello", "hello"])
            #expect(answer.outputs.map(\.index) == [0, 1])
            #expect(answer.outputs.allSatisfy { $0.finishReason == .length && $0.tokenIds.count == 5 })
            #expect(answer.usage.promptTokens == 5 && answer.usage.completionTokens == 10)
            let last = try #require(test.service.last)
            #expect(last.session == "s1" && last.deadline == nil && last.sampleCount == 2)
            #expect(last.sampling.seed == UInt64(bitPattern: -5) && last.sampling.temperature == 0.7)
        }
    }

    @Test func aStream() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, http in
            let inference = RPCInference.Client(wrapping: client)
            let parts = try await inference.generateStream(Self.request("hello world")) { response in
                try await response.messages.reduce(into: [RPCGenerateResponse]()) { $0.append($1) }
            }
            let outputs = parts.flatMap(\.outputs)
            #expect(outputs.map(\.text).joined() == "hello world")
            #expect(outputs.flatMap(\.tokenIds).count == 11)
            #expect(outputs.map(\.finishReason).filter { $0 != .unspecified } == [.length])
            #expect(parts.last?.usage.completionTokens == 11)
            #expect(parts.dropLast().allSatisfy { !$0.hasUsage })
            let metrics = try await http.execute(uri: "/metrics", method: .get).text
            #expect(
                metrics.contains(
                    "grpc_server_handled_total{grpc_service=\"martinet.v1.Inference\",grpc_method=\"GenerateStream\","
                        + "grpc_code=\"OK\"} 1\n"))
            #expect(metrics.contains("vllm_requests_success_total 1\n"))
            #expect(metrics.contains("martinet_http_generations 0\n"))
        }
    }

    @Test func chats() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let request = RPCChatRequest.with {
                $0.messages = [
                    .with {
                        $0.role = "user"
                        $0.content = "hello"
                    }
                ]
                $0.tools = [
                    .with {
                        $0.name = "look_up"
                        $0.parameters = #"{"type":"object"}"#
                    }
                ]
            }
            let answer = try await inference.chat(request)
            #expect(answer.choices.map(\.message.content) == ["hello"])
            #expect(answer.choices[0].message.role == "assistant" && answer.choices[0].finishReason == .length)
            let parts = try await inference.chatStream(request) { response in
                try await response.messages.reduce(into: [RPCChatResponse]()) { $0.append($1) }
            }
            #expect(parts.flatMap(\.choices).map(\.message.content).joined() == "hello")
            #expect(parts.flatMap(\.choices).map(\.message.role).filter { !$0.isEmpty } == ["assistant"])
            #expect(parts.last?.usage == answer.usage)
        }
    }

    @Test func embeddings() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            var request = RPCEmbedRequest.with {
                $0.inputs = [.with { $0.tokens.ids = [3, 4] }, .with { $0.text = "a" }]
            }
            let answer = try await inference.embed(request)
            #expect(answer.model == "tiny" && answer.usage.promptTokens == 3)
            #expect(answer.embeddings.map(\.values) == [[0.6, 0.8], [1]])
            request.dimensions = 2
            let wrong = await client.error { [request] in try await inference.embed(request) }
            #expect(wrong?.code == .invalidArgument && wrong?.fields == ["dimensions"])
            request.inputs.append(.init())
            let empty = await client.error { [request] in try await inference.embed(request) }
            #expect(empty?.code == .invalidArgument && empty?.fields == ["inputs[2]"])
        }
    }

    @Test func tokensAndModels() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let tokens = try await inference.tokenize(.with { $0.text = "héllo" })
            #expect(tokens.tokenIds == "héllo".utf8.map(Int32.init) && tokens.maxModelLength == 4096)
            let text = try await inference.detokenize(.with { $0.tokenIds = tokens.tokenIds })
            #expect(text.text == "héllo")
            let chat = try await inference.tokenize(
                .with {
                    $0.conversation.messages = [
                        .with {
                            $0.role = "user"
                            $0.content = "hi"
                        }
                    ]
                })
            #expect(chat.tokenIds == [104, 105])
            let models = try await inference.listModels(.init())
            #expect(models.models.map(\.name) == ["tiny", "org/tiny"])
            let error = await client.error { try await inference.detokenize(.with { $0.tokenIds = [-1] }) }
            #expect(error?.code == .invalidArgument && error?.fields == ["tokens[0]"])
        }
    }

    @Test(arguments: [
        (EngineError(.queueFull, "full"), RPCError.Code.resourceExhausted, true),
        (EngineError(.unavailable, "away"), .unavailable, true),
        (EngineError(.deadlineExceeded, "late"), .deadlineExceeded, false),
        (EngineError(.contextLengthExceeded, "long", parameter: "prompt"), .invalidArgument, false),
        (EngineError(.init(description: "broken"), "broken"), .internalError, false),
    ]) func refusalsHaveCodes(refusal: EngineError, code: RPCError.Code, retries: Bool) async throws {
        var script = ScriptedService.Script()
        script.refusal = refusal
        let test = TestServer(script, configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let whole = await client.error { try await inference.generate(Self.request("x")) }
            let streamed = await client.error {
                try await inference.generateStream(Self.request("x")) { response in
                    for try await _ in response.messages {}
                }
            }
            for error in [whole, streamed] {
                #expect(error?.code == code && error?.message == refusal.message)
                let details = try error?.unpackGoogleRPCStatus()?.details ?? []
                #expect(details.contains { $0.retryInfo != nil } == retries)
                #expect(error?.metadata[stringValues: "x-request-id"].first { _ in true } != nil)
            }
        }
    }

    @Test func aStreamThatBreaksSaysWhy() async throws {
        var script = ScriptedService.Script()
        script.failsAfter = 3
        let test = TestServer(script, configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let error = await client.error {
                try await inference.generateStream(Self.request("hello")) { response in
                    for try await _ in response.messages {}
                }
            }
            #expect(error?.code == .unavailable && error?.message == "broken")
        }
    }

    @Test func aClientThatCancelsFreesItsSlot() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        let test = TestServer(script, configuration: TestServer.withRPC)
        try await test.withRPCClient { client, http in
            let inference = RPCInference.Client(wrapping: client)
            // The whole answers would take 40 s.
            let long = Self.request(String(repeating: "a", count: 2000), maxTokens: 2000)
            let stream = Task {
                try await inference.generateStream(long) { response in
                    for try await _ in response.messages {}
                }
            }
            let unary = Task { try await inference.generate(long) }
            let deadline = ContinuousClock.now + .seconds(20)
            while test.service.started < 2, ContinuousClock.now < deadline { await Task.yield() }
            stream.cancel()
            unary.cancel()
            try await test.waitUntilIdle()
            _ = await (stream.result, unary.result)
            var metrics = ""
            while !metrics.contains("martinet_client_disconnects_total 2\n"), ContinuousClock.now < deadline {
                metrics = try await http.execute(uri: "/metrics", method: .get).text
            }
            #expect(metrics.contains("martinet_client_disconnects_total 2\n"))
        }
    }

    @Test func aDeadlineIsTheRequestsOwn() async throws {
        var script = ScriptedService.Script()
        script.delay = .milliseconds(20)
        let test = TestServer(script, configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            var options = CallOptions.defaults
            options.timeout = .seconds(10)
            let long = Self.request(String(repeating: "a", count: 2000), maxTokens: 2000)
            let error = await client.error { try await inference.generate(long, options: options) }
            #expect(error?.code == .deadlineExceeded)
            let deadline = try #require(test.service.last?.deadline)
            #expect(deadline < .now + .seconds(10))
            try await test.waitUntilIdle()
        }
    }

    /// grpc-swift itself would trap on a negative timeout.
    @Test(arguments: ["-5S", "S", "", "5", "5x", "999999999S", "0x1S", "1.5S", "+5S", "🐦"])
    func aTimeoutThatCannotBeReadIsRefused(timeout: String) async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let error = await client.error {
                try await inference.generate(Self.request("x"), metadata: ["grpc-timeout": .string(timeout)])
            }
            #expect(error?.code == .invalidArgument && error?.fields == ["grpc-timeout"])
            let answer = try await inference.generate(Self.request("x"))
            #expect(answer.outputs.count == 1)
        }
    }

    @Test(arguments: ["99999999H", "99999999M", "99999999S", "9999999S"])
    func aTimeoutMayBeLong(timeout: String) async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let answer = try await inference.generate(
                Self.request("x"), metadata: ["grpc-timeout": .string(timeout)])
            #expect(answer.outputs.count == 1)
        }
    }

    @Test func metadataThatIsWrongDoesNoHarm() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            let answer = try await inference.generate(
                Self.request("x"),
                metadata: [
                    "x-request-id": .string(String(repeating: "i", count: 4000)), "x-session-id": "",
                    "thing-bin": .binary([0xFF, 0]),
                ])
            #expect(answer.id.utf8.count == 4 + 24)
            #expect(test.service.last?.session == nil)
        }
    }

    @Test func manyCallsAtOnceKeepApart() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = RPCInference.Client(wrapping: client)
            await withTaskGroup(of: Bool.self) { group in
                for index in 0..<64 {
                    group.addTask {
                        let text = "prompt \(index)"
                        let answer = try? await inference.generateStream(Self.request(text)) { response in
                            try await response.messages.reduce(into: "") { $0 += $1.outputs.map(\.text).joined() }
                        }
                        return answer == text
                    }
                }
                for await isRight in group { #expect(isRight) }
            }
            try await test.waitUntilIdle()
        }
    }
}
