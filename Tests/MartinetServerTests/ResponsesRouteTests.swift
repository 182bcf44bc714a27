import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import MartinetAPI
import MartinetEngine
import MartinetServer
import MartinetStorage
import NIOCore
import Testing

@Suite struct ResponsesRouteTests {
    @Test func withoutStorage() async throws {
        let test = TestServer()
        try await test.server.application().test(.router) { client in
            let answer = try await TestServer.post(client, "/v1/responses", "{\"input\":\"hello\"}")
            #expect(answer.status == .ok && answer.json["store"] as? Bool == false)
            let output = try #require(answer.json["output"] as? [[String: Any]])
            #expect((output.first?["content"] as? [[String: Any]])?.first?["text"] as? String == "hello")
            let stream = try await TestServer.post(client, "/v1/responses", "{\"input\":\"hello\",\"stream\":true}")
            #expect(stream.text.hasPrefix("event: response.created\n") && !stream.text.contains("[DONE]"))
            #expect(stream.text.contains("event: response.completed\n") || stream.text.contains("response.incomplete"))
            let count = try await TestServer.post(client, "/v1/responses/input_tokens", "{\"input\":\"hello\"}")
            #expect(count.json["input_tokens"] as? Int == 5)
            for (method, path) in [
                (HTTPRequest.Method.get, "/v1/responses/x"), (.delete, "/v1/responses/x"),
                (.get, "/v1/responses/x/input_items"),
            ] {
                let answer = try await client.execute(uri: path, method: method)
                #expect(answer.status == .notImplemented && answer.error["code"] as? String == "storage_off")
            }
            for body in ["{\"input\":\"a\",\"store\":true}", "{\"input\":\"a\",\"previous_response_id\":\"x\"}"] {
                #expect(try await TestServer.post(client, "/v1/responses", body).status == .badRequest)
            }
        }
        #expect(test.service.open == 0)
    }

    @Test func withStorage() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let test = TestServer(storage: try await Storage.open(folder: path))
        try await test.server.application().test(.router) { client in
            let first = try await TestServer.post(client, "/v1/responses", "{\"input\":\"hello\"}")
            let id = try #require(first.json["id"] as? String)
            let read = try await client.execute(uri: "/v1/responses/\(id)", method: .get)
            #expect(read.text == first.text)
            let next = try await TestServer.post(
                client, "/v1/responses", "{\"input\":\"more\",\"previous_response_id\":\"\(id)\",\"stream\":true}")
            #expect(next.status == .ok && next.text.contains("\"previous_response_id\":\"\(id)\""))
            let items = try await client.execute(
                uri: "/v1/responses/\(id)/input_items?order=asc&limit=5", method: .get)
            #expect((items.json["data"] as? [[String: Any]])?.count == 1 && items.json["has_more"] as? Bool == false)
            for query in ["limit=0", "limit=x", "order=up", "after=x"] {
                let answer = try await client.execute(uri: "/v1/responses/\(id)/input_items?\(query)", method: .get)
                #expect(answer.status == .badRequest, "\(query)")
            }
            let replay = try await client.execute(uri: "/v1/responses/\(id)?stream=true", method: .get)
            #expect(replay.status == .badRequest && replay.error["param"] as? String == "stream")
            let gone = try await client.execute(uri: "/v1/responses/\(id)", method: .delete)
            #expect(gone.json["deleted"] as? Bool == true)
            #expect(try await client.execute(uri: "/v1/responses/\(id)", method: .get).status == .notFound)
            let orphan = try await TestServer.post(
                client, "/v1/responses", "{\"input\":\"more\",\"previous_response_id\":\"\(id)\"}")
            #expect(orphan.status == .badRequest && orphan.error["code"] as? String == "previous_response_not_found")
        }
        #expect(test.service.open == 0)
    }

    @Test func brokenStream() async throws {
        var script = ScriptedService.Script()
        script.failsAfter = 2
        try await TestServer(script).server.application().test(.router) { client in
            let answer = try await TestServer.post(client, "/v1/responses", "{\"input\":\"abcdef\",\"stream\":true}")
            #expect(answer.status == .ok && answer.text.contains("event: error\n"))
            #expect(answer.text.contains("event: response.failed\n") && !answer.text.contains("[DONE]"))
        }
    }
}
