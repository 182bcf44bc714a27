import Foundation
import GRPCCore
import GRPCProtobuf
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import MartinetEngine
import MartinetInferenceProtocol
import MartinetServer
import SwiftProtobuf
import Testing

/// The Open Inference Protocol over both of its transports.
@Suite struct OpenInferenceTests {
    private static func body(_ shape: String, _ data: String, _ more: String = "") -> String {
        #"{"inputs":[{"name":"text_input","datatype":"BYTES","shape":\#(shape),"data":\#(data)}]\#(more)}"#
    }

    @Test func aBatchKeepsItsShape() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let body = Self.body(
                "[2,2]", #"[["a","bc"],["d","efg"]]"#, #","id":"7","parameters":{"max_tokens":2,"top_k":3}"#)
            let answer = try await TestServer.post(client, "/v2/models/org/tiny/infer", body)
            #expect(
                answer.text
                    == #"{"model_name":"org/tiny","model_version":"1","id":"7","outputs":[{"name":"text_output","#
                    + #""datatype":"BYTES","shape":[2,2],"data":["a","bc","d","ef"]},{"name":"finish_reason","#
                    + #""datatype":"BYTES","shape":[2,2],"data":["length","length","length","length"]}]}"#)
            #expect(test.service.last?.sampling.topK == 3)
        }
    }

    @Test(arguments: [
        (body("[3]", #"["a"]"#), "shape"), (body("[]", #""a""#), "shape"),
        (body("[9223372036854775807,2]", #"["a"]"#), "shape"), (body("[-1]", #"["a"]"#), "shape[0]"),
        (body("[0]", "[]"), "text_input"), (body("[1]", #"[""]"#), "`text_input[0]`"),
        (body("[1]", "[1]"), "data"), (body("[1]", #"["a"]"#, #","parameters":{"temperature":-1}"#), "temperature"),
        (body("[1]", #"["a"]"#, #","outputs":[{"name":"logits"}]"#), "logits"), ("{}", "inputs"), ("[]", "object"),
        (#"{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[1]}]}"#, "`x`"),
        (#"{"inputs":[{"name":"text_input","datatype":"BYTES","shape":[1]}]}"#, "data"),
    ]) func whatIsWrongIsNamed(body: String, said: String) async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let answer = try await TestServer.post(client, "/v2/models/tiny/infer", body)
            #expect(answer.status == .badRequest)
            let message = try #require(answer.json["error"] as? String)
            #expect(answer.json.count == 1 && message.contains(said), "\(message)")
        }
    }

    @Test func healthNamesAndVersions() async throws {
        let test = TestServer()
        try await test.server.application().test(.live) { client in
            for (path, status) in [
                ("/v2", 200), ("/v2/health/live", 200), ("/v2/health/ready", 200), ("/v2/models/tiny", 200),
                ("/v2/models/org/tiny/versions/1/ready", 200), ("/v2/models/org%2Ftiny/ready", 200),
                ("/v2/models/tiny/versions/2", 404), ("/v2/models/nothing/ready", 404),
            ] {
                let answer = try await client.execute(uri: path, method: .get)
                #expect(answer.status.code == status, "\(path)")
            }
            test.service.update { $0.figures.failure = "broken" }
            for path in ["/v2/health/ready", "/v2/models/tiny/ready"] {
                let answer = try await client.execute(uri: path, method: .get)
                #expect(answer.status == .serviceUnavailable && answer.json["ready"] as? Bool == false)
            }
        }
    }

    @Test func textAndItsStream() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let body = #"{"text_input":"ab","parameters":{"max_tokens":2}}"#
            let whole = try await TestServer.post(client, "/v2/models/tiny/generate", body)
            #expect(
                whole.text
                    == #"{"model_name":"tiny","model_version":"1","text_output":"ab","finish_reason":"length"}"#)
            let stream = try await TestServer.post(client, "/v2/models/tiny/generate_stream", body)
            let head = #"data: {"model_name":"tiny","model_version":"1","text_output":"#
            #expect(
                stream.text
                    == head + "\"a\",\"done\":false}\n\n" + head + "\"b\",\"done\":false}\n\n" + head
                    + "\"\",\"done\":true,\"finish_reason\":\"length\"}\n\n")
            test.service.update { $0.failsAfter = 1 }
            let broken = try await TestServer.post(client, "/v2/models/tiny/generate_stream", body)
            #expect(broken.text.hasSuffix("data: {\"error\":\"broken\"}\n\n"))
            test.service.update { $0.refusal = EngineError(.queueFull, "full") }
            let full = try await TestServer.post(client, "/v2/models/tiny/generate", body)
            #expect(full.status.code == 429 && full.headers[.retryAfter] == "1")
            #expect(full.json["error"] as? String == "full")
        }
    }

    @Test func tensorsOverGRPC() async throws {
        let test = TestServer(configuration: TestServer.withRPC)
        try await test.withRPCClient { client, _ in
            let inference = Inference_GRPCInferenceService.Client(wrapping: client)
            #expect(try await inference.serverLive(.init()).live)
            #expect(try await inference.serverReady(.init()).ready)
            #expect(try await inference.modelReady(.with { $0.name = "tiny" }).ready)
            #expect(try await inference.modelMetadata(.with { $0.name = "tiny" }).inputs.map(\.name) == ["text_input"])
            let request = Inference_ModelInferRequest.with {
                $0.modelName = "tiny"
                $0.inputs = [
                    .with {
                        $0.name = "text_input"
                        $0.datatype = "BYTES"
                        $0.shape = [2]
                    }
                ]
                $0.parameters = ["top_k": .with { $0.uint64Param = 4 }]
                $0.outputs = [.with { $0.name = "text_output" }]
            }
            var raw = request
            raw.rawInputContents = [Data([1, 0, 0, 0, 0x61, 2, 0, 0, 0, 0x62, 0x63])]
            let bytes = try await inference.modelInfer(raw)
            #expect(bytes.rawOutputContents == raw.rawInputContents && bytes.outputs[0].shape == [2])
            #expect(test.service.last?.sampling.topK == 4)
            var typed = request
            typed.inputs[0].contents.bytesContents = [Data("a".utf8), Data("bc".utf8)]
            let contents = try await inference.modelInfer(typed)
            #expect(contents.outputs[0].contents.bytesContents == typed.inputs[0].contents.bytesContents)
            for change: (inout Inference_ModelInferRequest) -> Void in [
                { $0.rawInputContents = [Data([1, 0, 0])] }, { $0.rawInputContents = [Data([255, 255, 255, 255, 1])] },
                { $0.rawInputContents = [Data(), Data()] }, { $0.inputs[0].shape = [.max, .max] },
                { $0.inputs[0].shape = [-1, -2] }, { $0.inputs[0].contents.bytesContents = [Data([0xFF]), Data()] },
                { $0.inputs[0].datatype = "FP32" }, { $0.modelName = "" },
                { $0.parameters["temperature"] = .with { $0.doubleParam = .nan } },
            ] {
                var bad = typed
                change(&bad)
                let error = await client.error { try await inference.modelInfer(bad) }
                #expect(error?.code == .invalidArgument)
            }
        }
    }
}
