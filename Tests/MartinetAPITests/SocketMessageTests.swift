import MartinetAPI
import MartinetJSON
import Testing

@Suite struct SocketMessageTests {
    private func decode(_ text: String) throws -> SocketMessage { try SocketMessage(Array(text.utf8)) }

    @Test(arguments: [
        ("generate", "/generate"), ("completion", "/v1/completions"), ("chat", "/v1/chat/completions"),
        ("message", "/v1/messages"), ("response", "/v1/responses"),
    ]) func calls(type: String, path: String) throws {
        let message = try decode("{\"type\":\"\(type)\",\"prompt\":\"é\",\"id\":\"a\",\"seed\":9007199254740993}")
        guard case .call(let call) = message else { throw APIError(status: 0, "no call") }
        #expect(call.id == "a")
        #expect(call.path == path)
        #expect(
            String(decoding: call.body, as: UTF8.self) == "{\"prompt\":\"é\",\"seed\":9007199254740993,\"stream\":true}"
        )
    }

    @Test func aStreamOnlyWhereWanted() throws {
        guard case .call(let call) = try decode("{\"type\":\"chat\",\"id\":\"a\",\"stream\":false}") else {
            throw APIError(status: 0, "no call")
        }
        #expect(String(decoding: call.body, as: UTF8.self) == "{\"stream\":false}")
    }

    @Test func others() throws {
        if case .cancel("x") = try decode("{\"type\":\"cancel\",\"id\":\"x\"}") {} else { Issue.record("no cancel") }
        if case .ping(nil) = try decode("{\"type\":\"ping\"}") {} else { Issue.record("no ping") }
    }

    @Test(
        arguments: [
            ("", nil, "invalid_json"), ("7", nil, "invalid_type"), ("{}", nil, "invalid_type"),
            ("{\"type\":1,\"id\":\"a\"}", "a", "invalid_type"), ("{\"type\":\"x\",\"id\":\"a\"}", "a", "invalid_value"),
            ("{\"type\":\"chat\"}", nil, "missing_required_parameter"),
            ("{\"type\":\"cancel\",\"id\":null}", nil, "missing_required_parameter"),
            ("{\"type\":\"chat\",\"id\":\"\"}", nil, "invalid_type"),
            ("{\"type\":\"chat\",\"id\":{}}", nil, "invalid_type"),
            ("{\"type\":\"chat\",\"id\":\"\(String(repeating: "a", count: 129))\"}", nil, "invalid_type"),
            (String(repeating: "[", count: 100_000), nil, "invalid_json"),
        ] as [(String, String?, String)]) func refusals(text: String, id: String?, code: String)
    {
        do {
            _ = try decode(text)
            Issue.record("taken")
        } catch let refusal as SocketRefusal {
            #expect(refusal.id == id)
            #expect(refusal.error.code == code)
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test func answers() throws {
        let answer = SocketAnswer(id: "q\"uote")
        var usage = Usage()
        usage.promptTokens = 2
        for (bytes, type) in [
            (answer.accepted(requestID: "r"), "accepted"), (answer.delta(Array("{\"a\":1}".utf8)[...]), "delta"),
            (answer.done(usage), "done"), (answer.done(usage, body: Array("{\"b\":2}".utf8)), "done"),
            (answer.done(nil, body: Array("{}".utf8)), "done"), (answer.cancelled(), "cancelled"),
            (answer.failed(status: 400, body: APIError(status: 400, "no").body), "error"),
            (answer.failed(status: nil, body: Array("nonsense".utf8)), "error"),
        ] {
            let value = try JSONParser.parse(bytes)
            #expect(value["type"]?.string == type)
            #expect(value["id"]?.string == "q\"uote")
            if type == "error" { #expect(value["error"]?["message"]?.string != nil) }
        }
        let whole = try JSONParser.parse(answer.done(usage, body: Array("{\"b\":2}".utf8)))
        #expect(whole["response"]?["b"]?.integer == 2)
        #expect(whole["usage"]?["prompt_tokens"]?.integer == 2)
        #expect(try JSONParser.parse(SocketAnswer.pong(id: nil))["id"] == nil)
        let refused = try JSONParser.parse(SocketAnswer.refused(SocketRefusal(.invalid("id", "bad"))))
        #expect(refused["status"]?.integer == 400)
        #expect(refused["error"]?["param"]?.string == "id")
    }

    /// However a stream is cut, its events are the same.
    @Test(arguments: 1...9) func streamsInPieces(size: Int) {
        let stream = Array(
            "data: {\"a\":1}\n\n: keep-alive\n\nevent: x\ndata: é\ndata:  two\r\n\r\nid: 7\n\ndata: [DONE]\n\ndata: cut"
                .utf8)
        var splitter = ServerSentEventSplitter()
        var events: [String] = []
        for start in stride(from: 0, to: stream.count, by: size) {
            let piece = stream[start..<min(start + size, stream.count)]
            events += splitter.add(piece).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(events == ["{\"a\":1}", "é\n two", "[DONE]"])
    }
}
