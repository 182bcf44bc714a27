import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import MartinetEngine
import MartinetServer
import Testing

@Suite struct EmbeddingRouteTests {
    @Test func vectorsOfSeveralTexts() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let answer = try await TestServer.post(
                client, "/v1/embeddings", #"{"model":"tiny","input":[[3,4],"a"],"normalize":false}"#)
            #expect(answer.status == .ok)
            let data = answer.json["data"] as? [[String: Any]] ?? []
            #expect(data.map { $0["embedding"] as? [Double] } == [[3, 4], [97]])
            #expect(answer.json["model"] as? String == "tiny")
            let wrong = try await TestServer.post(client, "/v1/embeddings", #"{"input":"a","dimensions":2}"#)
            #expect(wrong.status == .badRequest)
            #expect(wrong.error["param"] as? String == "dimensions")
            let method = try await client.execute(uri: "/v1/embeddings", method: .get)
            #expect(method.status == .methodNotAllowed)
        }
        #expect(test.service.open == 0)
        #expect(test.service.started == 3)
    }

    @Test func anEngineThatIsFullRefuses() async throws {
        let test = TestServer(.init(refusal: EngineError(.queueFull, "full")))
        try await test.server.application().test(.router) { client in
            let answer = try await TestServer.post(client, "/v1/embeddings", #"{"input":"a"}"#)
            #expect(answer.status == .tooManyRequests)
        }
    }
}
