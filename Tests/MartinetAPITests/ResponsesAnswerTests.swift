import Foundation
import MartinetAPI
import MartinetEngine
import MartinetJSON
import Testing

@Suite struct ResponsesAnswerTests {
    private func answer(
        _ fields: String = "", id: String = "resp_1", store: MemoryResponseStore? = nil
    ) throws -> ResponsesAnswer {
        let body = "{\"input\":\"hey\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]\(fields)}"
        let request = try ResponsesRequest(JSONBody(Array(body)), model: .talking(), stores: store != nil)
        let (generation, engine) = try request.generation(
            id: "x", after: [], model: .talking(), service: ConversationService())
        return ResponsesAnswer(
            id: id, clock: { 7 }, request: request, reader: generation.reader(for: engine, model: .talking()),
            model: .talking(), store: store)
    }

    private func body(_ answer: ResponsesAnswer, _ events: [InferenceEvent]) async throws -> [String: Any] {
        var answer = answer
        return try object(await answer.body(turnResult(events)))
    }

    private static let turn =
        "<think>Hm.</think>I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"

    @Test func body() async throws {
        let response = try await body(
            answer(",\"instructions\":\"i\",\"metadata\":{\"k\":\"v\"},\"max_output_tokens\":50,\"temperature\":0.5"),
            turnEvents(Self.turn))
        #expect(response["id"] as? String == "resp_1" && response["object"] as? String == "response")
        #expect(response["status"] as? String == "completed" && response["created_at"] as? Int == 7)
        #expect(response["error"] is NSNull && response["incomplete_details"] is NSNull)
        #expect(response["instructions"] as? String == "i" && response["model"] as? String == "tiny")
        #expect(response["metadata"] as? [String: String] == ["k": "v"])
        #expect(response["max_output_tokens"] as? Int == 50 && response["temperature"] as? Double == 0.5)
        #expect(response["tool_choice"] as? String == "auto" && response["store"] as? Bool == false)
        #expect((response["tools"] as? [[String: Any]])?.first?["name"] as? String == "f")
        let output = try #require(response["output"] as? [[String: Any]])
        #expect(output.map { $0["type"] as? String } == ["reasoning", "message", "function_call"])
        #expect(output.allSatisfy { $0["status"] as? String == "completed" })
        #expect(Set(output.compactMap { $0["id"] as? String }).count == 3)
        let thought = (output[0]["content"] as? [[String: Any]])?.first
        #expect(thought?["text"] as? String == "Hm." && thought?["type"] as? String == "reasoning_text")
        let said = (output[1]["content"] as? [[String: Any]])?.first
        #expect((said?["text"] as? String)?.hasPrefix("I look.") == true && said?["type"] as? String == "output_text")
        #expect(output[2]["name"] as? String == "f" && (output[2]["call_id"] as? String)?.hasPrefix("call_") == true)
        let arguments = try JSONSerialization.jsonObject(with: Data((output[2]["arguments"] as? String ?? "").utf8))
        #expect(arguments as? [String: Int] == ["a": 1])
        let usage = try #require(response["usage"] as? [String: Any])
        #expect(usage["input_tokens"] as? Int == 10)
        #expect((usage["input_tokens_details"] as? [String: Int])?["cached_tokens"] == 4)
        #expect((usage["output_tokens_details"] as? [String: Int])?["reasoning_tokens"] == 3)
        #expect(usage["total_tokens"] as? Int == 10 + (usage["output_tokens"] as? Int ?? 0))
    }

    @Test func lengthIsIncomplete() async throws {
        let events = turnEvents("hello", reason: .length)
        let response = try await body(answer(), events)
        #expect(response["status"] as? String == "incomplete" && response["completed_at"] is NSNull)
        #expect((response["incomplete_details"] as? [String: String])?["reason"] == "max_output_tokens")
        #expect((response["output"] as? [[String: Any]])?.first?["status"] as? String == "incomplete")
        let last = try #require(try await answer().stream(events).last)
        #expect(last.name == "response.incomplete" && last["response", "status"] as? String == "incomplete")
    }

    @Test func stream() async throws {
        let events = try await answer().stream(turnEvents(Self.turn))
        #expect(events.map { $0["sequence_number"] as? Int } == Array(0..<events.count))
        #expect(events.prefix(2).map(\.name) == ["response.created", "response.in_progress"])
        #expect(events[0]["response", "status"] as? String == "in_progress" && events[0]["response", "usage"] is NSNull)
        let last = try #require(events.last)
        #expect(last.name == "response.completed" && last["response", "status"] as? String == "completed")
        let whole = try #require(last["response", "output"] as? [[String: Any]])
        // What streams is what the whole says.
        var names: [String: [String]] = [:]
        var texts: [String: String] = [:]
        for event in events.dropFirst(2).dropLast() {
            let id = try #require((event["item_id"] ?? event["item", "id"]) as? String)
            let index = try #require(event["output_index"] as? Int)
            #expect(whole[index]["id"] as? String == id)
            let short = event.name.replacing("response.", with: "")
            if short.hasSuffix("delta") {
                texts[id, default: ""] += try #require(event["delta"] as? String)
                if names[id]?.last == short { continue }
            } else if short.hasSuffix("text.done") {
                #expect(event["text"] as? String == texts[id])
            } else if short.hasSuffix("arguments.done") {
                #expect(event["arguments"] as? String == texts[id] && event["name"] as? String == "f")
            }
            names[id, default: []].append(short)
        }
        let parts = { (text: String) in
            [
                "output_item.added", "content_part.added", "\(text).delta", "\(text).done", "content_part.done",
                "output_item.done",
            ]
        }
        let ids = whole.compactMap { $0["id"] as? String }
        #expect(names[ids[0]] == parts("reasoning_text") && names[ids[1]] == parts("output_text"))
        #expect(
            names[ids[2]] == [
                "output_item.added", "function_call_arguments.delta", "function_call_arguments.done",
                "output_item.done",
            ])
        #expect(texts[ids[0]] == "Hm." && whole[2]["arguments"] as? String == texts[ids[2]])
    }

    @Test func logprobs() async throws {
        let entry = TokenLogprobs.Entry(token: 104, logprob: -0.5, rank: 1)
        let logprobs = TokenLogprobs(chosen: entry, top: [entry])
        var events = turnEvents("hi")
        for index in events.indices {
            guard case .output(var delta) = events[index] else { continue }
            delta.logprobs = [logprobs]
            events[index] = .output(delta)
        }
        let answer = try answer(",\"top_logprobs\":1")
        let response = try await body(answer, events)
        let output = try #require(response["output"] as? [[String: Any]])
        let whole = (output.first?["content"] as? [[String: Any]])?.first?["logprobs"] as? [[String: Any]]
        #expect(whole?.first?["token"] as? String == "h" && whole?.first?["logprob"] as? Double == -0.5)
        let delta = try #require(try await answer.stream(events).first { $0.name == "response.output_text.delta" })
        #expect((delta["logprobs"] as? [[String: Any]])?.count == 1)
    }

    @Test func failure() async throws {
        let error = APIError(status: 503, "down", type: "service_unavailable_error", code: "unavailable")
        for count in [0, 2] {
            let events = try await answer().stream(Array(turnEvents("hello").prefix(count)), error: error)
            #expect(events.first?.name == "response.created")
            let (said, last) = (events[events.count - 2], events[events.count - 1])
            #expect(
                said.name == "error" && said["code"] as? String == "unavailable" && said["message"] as? String == "down"
            )
            #expect(last.name == "response.failed" && last["response", "status"] as? String == "failed")
            #expect(last["response", "error", "code"] as? String == "server_error")
        }
    }

    @Test func storedAnswers() async throws {
        let store = MemoryResponseStore()
        let history = ResponseHistory(store)
        let first = try await body(answer(id: "resp_1", store: store), turnEvents("one"))
        #expect(try object(await history.body(of: "resp_1")) as NSDictionary == first as NSDictionary)
        // What streams is kept before the end is sent.
        let streamed = try await answer(",\"previous_response_id\":\"resp_1\"", id: "resp_2", store: store).stream(
            turnEvents("two"))
        #expect(try object(await history.body(of: "resp_2"))["id"] as? String == "resp_2")
        #expect(streamed.last?["response", "previous_response_id"] as? String == "resp_1")
        let items = try await history.items(upTo: "resp_2").items
        let texts = items.compactMap { $0["content"]?[0]?["text"]?.string }
        #expect(texts == ["hey", "one", "hey", "two"])
        #expect(items.allSatisfy { $0["id"]?.string?.hasPrefix("msg_") == true })
        // They can be read as input again.
        let service = ConversationService()
        let request = try ResponsesRequest(JSONBody(Array("{\"input\":\"go\"}")), model: .talking(), stores: true)
        _ = try request.generation(id: "x", after: items, model: .talking(), service: service)
        #expect(service.rendered == "user: hey\nassistant: one\nuser: hey\nassistant: two\nuser: go\nassistant:")
        #expect(try object(await history.delete("resp_1"))["deleted"] as? Bool == true)
        for action in [
            { _ = try await history.body(of: "resp_1") }, { _ = try await history.delete("resp_1") },
            { _ = try await history.inputItems(of: "resp_1", limit: 1, after: nil, ascending: true) },
        ] {
            let error = await #expect(throws: APIError.self) { try await action() }
            #expect(error?.status == 404)
        }
        let error = await #expect(throws: APIError.self) { _ = try await history.items(upTo: "resp_2") }
        #expect(error?.status == 400 && error?.code == "previous_response_not_found")
        _ = try await body(answer(",\"store\":false", id: "resp_3", store: store), turnEvents("no"))
        #expect(store.kept.map(\.id) == ["resp_2"])
    }

    @Test func inputItems() async throws {
        let store = MemoryResponseStore()
        let input = (0..<5).map { "{\"role\":\"user\",\"content\":\"\($0)\"}" }.joined(separator: ",")
        _ = try await body(answer(",\"x\":0", store: store), turnEvents("one"))
        let request = try ResponsesRequest(
            JSONBody(Array("{\"input\":[\(input)]}")), model: .talking(), stores: true)
        let (generation, engine) = try request.generation(
            id: "x", after: [], model: .talking(), service: ConversationService())
        let answer = ResponsesAnswer(
            id: "resp_9", clock: { 7 }, request: request, reader: generation.reader(for: engine, model: .talking()),
            model: .talking(), store: store)
        _ = try await body(answer, turnEvents("one"))
        let history = ResponseHistory(store)
        func page(_ limit: Int, _ after: String?, _ ascending: Bool) async throws -> ([String], String?, Bool?) {
            let page = try object(
                await history.inputItems(of: "resp_9", limit: limit, after: after, ascending: ascending))
            let data = try #require(page["data"] as? [[String: Any]])
            #expect(page["object"] as? String == "list" && page["first_id"] as? String == data.first?["id"] as? String)
            let texts = data.compactMap { ($0["content"] as? [[String: Any]])?.first?["text"] as? String }
            return (texts, page["last_id"] as? String, page["has_more"] as? Bool)
        }
        let first = try await page(2, nil, false)
        #expect(first.0 == ["4", "3"] && first.2 == true)
        let rest = try await page(100, first.1, false)
        #expect(rest.0 == ["2", "1", "0"] && rest.2 == false)
        #expect(try await page(1, nil, true).0 == ["0"])
        for (limit, after) in [(0, nil), (101, nil), (1, "nothing")] as [(Int, String?)] {
            let error = await #expect(throws: APIError.self) { _ = try await page(limit, after, true) }
            #expect(error?.status == 400)
        }
    }

    @Test func brokenStore() async throws {
        let store = MemoryResponseStore(isBroken: true)
        let error = await #expect(throws: APIError.self) { _ = try await body(answer(store: store), turnEvents("one")) }
        #expect(error?.status == 500 && error?.code == "storage_failed")
        for action in [
            { _ = try await ResponseHistory(store).items(upTo: "resp_1") },
            { _ = try await ResponseHistory(store).delete("resp_1") },
        ] {
            let error = await #expect(throws: APIError.self) { try await action() }
            #expect(error?.status == 500)
        }
    }

    @Test func conversationsAreBounded() async throws {
        let store = MemoryResponseStore()
        // A response that goes on from itself would never end.
        try await store.save(
            StoredResponse(
                id: "resp_1", created: 1, model: "m", status: "completed", previousID: "resp_1", inputItems: "[]",
                outputItems: "[]", body: []))
        let error = await #expect(throws: APIError.self) { _ = try await ResponseHistory(store).items(upTo: "resp_1") }
        #expect(error?.status == 400 && error?.code == "conversation_too_long")
    }
}
