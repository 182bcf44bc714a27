import Foundation
import MartinetAPI
import MartinetEngine
import Testing

@Suite struct MessagesAnswerTests {
    private func answer(_ fields: String = "") throws -> MessagesAnswer {
        let body = """
            {"max_tokens":99,"messages":[{"role":"user","content":"a"}],
             "tools":[{"name":"f","input_schema":{"type":"object"}}]\(fields)}
            """
        let request = try MessagesRequest(JSONBody(Array(body)), model: .talking())
        let generation = request.generation
        let engine = try generation.request(id: "x", model: .talking(), service: ConversationService())
        return MessagesAnswer(
            id: "msg_1", requestID: "r1", request: request, reader: generation.reader(for: engine, model: .talking()),
            model: .talking())
    }

    private static let turn =
        "<think>Hm \"x\".</think>I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"

    @Test func body() throws {
        let message = try object(try answer().body(turnResult(turnEvents(Self.turn))))
        #expect(message["type"] as? String == "message" && message["role"] as? String == "assistant")
        #expect(message["id"] as? String == "msg_1" && message["model"] as? String == "tiny")
        #expect(message["stop_reason"] as? String == "tool_use")
        let content = try #require(message["content"] as? [[String: Any]])
        #expect(content.map { $0["type"] as? String } == ["thinking", "text", "tool_use"])
        #expect(content[0]["thinking"] as? String == "Hm \"x\"." && content[0]["signature"] is String)
        #expect((content[1]["text"] as? String)?.hasPrefix("I look.") == true)
        #expect((content[2]["id"] as? String)?.hasPrefix("toolu_") == true && content[2]["name"] as? String == "f")
        #expect(content[2]["input"] as? [String: Int] == ["a": 1])
        let usage = try #require(message["usage"] as? [String: Any])
        #expect(usage["input_tokens"] as? Int == 6 && usage["cache_read_input_tokens"] as? Int == 4)
        #expect(usage["cache_creation_input_tokens"] as? Int == 0 && usage["output_tokens"] as? Int != 0)
    }

    @Test(arguments: [
        (FinishReason.stop, nil as String?, "end_turn"), (.stop, "END", "stop_sequence"),
        (.length, nil, "model_context_window_exceeded"),
    ])
    func reasons(_ reason: FinishReason, _ stopText: String?, _ expected: String) async throws {
        let events = turnEvents("hello", reason: reason, stopText: stopText)
        let message = try object(try answer().body(turnResult(events)))
        #expect(message["stop_reason"] as? String == expected && message["stop_sequence"] as? String == stopText)
        let delta = try #require(try await answer().stream(events).first { $0.name == "message_delta" })
        #expect(delta["delta", "stop_reason"] as? String == expected)
        #expect(delta["delta", "stop_sequence"] as? String == stopText)
    }

    @Test func tokenLimit() throws {
        let events = turnEvents(String(repeating: "abc", count: 99), reason: .length)
        #expect(try object(try answer().body(turnResult(events)))["stop_reason"] as? String == "max_tokens")
    }

    @Test func stream() async throws {
        let events = try await answer().stream(turnEvents(Self.turn))
        #expect(events.map(\.name).prefix(2) == ["message_start", "ping"])
        #expect(events.suffix(2).map(\.name) == ["message_delta", "message_stop"])
        let start = try #require(events.first)
        #expect(start["message", "usage", "input_tokens"] as? Int == 6)
        #expect((start["message", "content"] as? [Any])?.isEmpty == true && start["message", "stop_reason"] is NSNull)
        // Blocks begin, grow and end in order.
        var blocks: [(type: String, text: String)] = []
        var isOpen = false
        for event in events {
            switch event.name {
            case "content_block_start":
                #expect(!isOpen && event["index"] as? Int == blocks.count)
                isOpen = true
                blocks.append((try #require(event["content_block", "type"] as? String), ""))
            case "content_block_delta":
                #expect(isOpen && event["index"] as? Int == blocks.count - 1)
                let field = ["text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"]
                guard let key = field[try #require(event["delta", "type"] as? String)] else { continue }
                blocks[blocks.count - 1].text += try #require(event["delta", key] as? String)
            case "content_block_stop":
                #expect(isOpen && event["index"] as? Int == blocks.count - 1)
                isOpen = false
            default: #expect(!isOpen)
            }
        }
        #expect(blocks.map(\.type) == ["thinking", "text", "tool_use"])
        #expect(blocks[0].text == "Hm \"x\".")
        #expect(blocks[1].text.hasPrefix("I look."))
        let input = try JSONSerialization.jsonObject(with: Data(blocks[2].text.utf8)) as? [String: Int]
        #expect(input == ["a": 1])
        #expect(events.contains { $0["delta", "type"] as? String == "signature_delta" })
        let delta = try #require(events.first { $0.name == "message_delta" })
        #expect(delta["delta", "stop_reason"] as? String == "tool_use")
        #expect(delta["usage", "input_tokens"] as? Int == 6 && delta["usage", "cache_read_input_tokens"] as? Int == 4)
    }

    @Test func thinkingMayBeLeftOut() async throws {
        let omitted = ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"}"
        let events = try await answer(omitted).stream(turnEvents(Self.turn))
        #expect(!events.contains { $0["delta", "type"] as? String == "thinking_delta" })
        #expect(events.contains { $0["content_block", "type"] as? String == "thinking" })
        let message = try object(try answer(omitted).body(turnResult(turnEvents(Self.turn))))
        #expect((message["content"] as? [[String: Any]])?.first?["thinking"] as? String == "")
    }

    @Test(arguments: ["", " \n "])
    func emptyAnswers(_ text: String) async throws {
        let events = try await answer().stream(turnEvents(text))
        let said = events.compactMap { $0["delta", "text"] as? String }.joined()
        #expect(said == text)
        let message = try object(try answer().body(turnResult(turnEvents(text))))
        let content = try #require(message["content"] as? [[String: Any]])
        #expect(content.compactMap { $0["text"] as? String }.joined() == text)
    }

    @Test func failure() async throws {
        let error = APIError(status: 503, "down", type: "service_unavailable_error", code: "unavailable")
        let events = try await answer().stream(Array(turnEvents("hello").prefix(2)), error: error)
        let last = try #require(events.last)
        #expect(last.name == "error" && last["error", "type"] as? String == "overloaded_error")
        #expect(last["error", "message"] as? String == "down" && last["request_id"] as? String == "r1")
        #expect(!events.contains { $0.name == "message_stop" })
    }

    @Test(arguments: [
        (400, "invalid_request_error"), (401, "authentication_error"), (403, "permission_error"),
        (404, "not_found_error"), (405, "invalid_request_error"), (413, "request_too_large"),
        (415, "invalid_request_error"), (429, "rate_limit_error"), (500, "api_error"), (502, "api_error"),
        (503, "overloaded_error"), (504, "timeout_error"), (529, "overloaded_error"),
    ])
    func errorTypes(_ status: Int, _ type: String) throws {
        let body = try object(
            ErrorShape(path: "/v1/messages/batches").body(APIError(status: status, "m", code: "c"), requestID: "r"))
        let error = try #require(body["error"] as? [String: Any])
        #expect(body["type"] as? String == "error" && body["request_id"] as? String == "r")
        #expect(error["type"] as? String == type && error["message"] as? String == "m")
        #expect((error["details"] as? [String: Any])?["error_code"] as? String == "c")
        #expect(ErrorShape(path: "/v1/messagesx") == .openAI && ErrorShape(path: "/v1/models") == .openAI)
    }
}
