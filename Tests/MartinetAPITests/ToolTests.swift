import Foundation
import MartinetAPI
import MartinetEngine
import MartinetGrammars
import MartinetJSON
import MartinetTemplates
import Testing

@Suite struct ToolTests {
    static let tools = """
        "tools":[{"type":"function","function":{"name":"weather","description":"d","parameters":{"type":"object",
        "properties":{"city":{"type":"string"}},"required":["city"]}}},{"type":"function","function":{"name":"now"}}]
        """

    static func model(_ tools: ToolCallFormat? = .hermes, reasoning: ReasoningFormat? = nil) -> ServedModel {
        var model = ServedModel.test
        model.turnFormat = TurnFormat(tools: tools, reasoning: reasoning)
        return model
    }

    private func request(
        _ fields: String, _ model: ServedModel, service: PlainService = PlainService()
    ) throws -> (chat: ChatRequest, inference: InferenceRequest) {
        let body = fields.contains("\"messages\"") ? "{\(fields)}" : BadRequestTests.user(fields)
        let chat = try ChatRequest(JSONBody(Array(body)), model: model)
        return (chat, try chat.request(id: "x", model: model, service: service))
    }

    // MARK: Prompts

    @Test func templatesThatKnowTools() throws {
        let service = PlainService()
        _ = try request(Self.tools, Self.model(), service: service)
        #expect(service.tools?.count == 2)
        #expect(service.lines == ["user: a"])
        _ = try request(Self.tools + ",\"tool_choice\":\"none\"", Self.model(), service: service)
        #expect(service.tools == nil)
    }

    @Test func templatesThatKnowNoTools() throws {
        var model = Self.model()
        model.templateVariables = ["messages"]
        let service = PlainService()
        let history = """
            "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"a"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"weather",
            "arguments":"{\\"city\\": \\"Paris\\"}"}},{"id":"2","type":"function","function":{"name":"now","arguments":""}}]},
            {"role":"tool","tool_call_id":"1","content":"sunny"},
            {"role":"tool","tool_call_id":"2","content":[{"type":"text","text":"noon"}]},{"role":"user","content":"b"}]
            """
        _ = try request(history + "," + Self.tools, model, service: service)
        #expect(service.tools == nil)
        #expect(service.lines.count == 4)
        #expect(service.lines[0].hasPrefix("system: Be brief.\n\nYou can call functions."))
        #expect(service.lines[0].contains("{\"type\":\"function\",\"function\":{\"name\":\"now\"}}"))
        #expect(service.lines[0].contains("<tool_call>\n{\"name\": \"function_name\", \"arguments\": "))
        #expect(
            service.lines[2] == "assistant: <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\":\"Paris\"}}\n"
                + "</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": \"\"}\n</tool_call>")
        #expect(
            service.lines[3]
                == "user: <tool_response>\nsunny\n</tool_response>\n<tool_response>\nnoon\n</tool_response>\nb")
        // Past calls stay readable without tools in this request.
        _ = try request(history, model, service: service)
        #expect(service.lines[0] == "system: Be brief." && service.lines[2].contains("<tool_call>"))
    }

    @Test func templatesThatTakeNoSystemMessage() throws {
        var model = Self.model()
        model.templateVariables = []
        let service = PlainService(refusesSystem: true)
        _ = try request(Self.tools, model, service: service)
        #expect(service.lines.count == 1)
        #expect(service.lines[0].hasPrefix("user: You can call functions.") && service.lines[0].hasSuffix("\n\na"))
        let error = #expect(throws: APIError.self) {
            _ = try request(
                "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"}],"
                    + Self.tools,
                model, service: service)
        }
        #expect(error?.parameter == "messages")
    }

    @Test func shortIDs() throws {
        let service = PlainService()
        let history = """
            "messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"call_1234567890","function":
            {"name":"f"}},{"id":"abcDEF123","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"call_1234567890",
            "content":"x"},{"role":"tool","tool_call_id":"abcDEF123","content":"y"}]
            """
        _ = try request(history, Self.model(.mistral), service: service)
        let text = service.messages.description
        let ids = text.matches(of: /string\("([0-9a-zA-Z]{9})"\)/).map { String($0.1) }.filter { $0 != "assistant" }
        #expect(ids.count == 4 && Set(ids).count == 2 && ids.contains("abcDEF123"))
        #expect(!text.contains("call_1234567890"))
    }

    @Test func reasoningEffort() throws {
        for (variables, effort, expected) in [
            (
                ["reasoning_effort"], "high",
                "[(\"reasoning_effort\", MartinetTemplates.TemplateValue.string(\"high\"))]"
            ),
            (["enable_thinking"], "none", "[(\"enable_thinking\", MartinetTemplates.TemplateValue.bool(false))]"),
            (["enable_thinking"], "low", "[(\"enable_thinking\", MartinetTemplates.TemplateValue.bool(true))]"),
            ([], "none", "[]"),
        ] as [(Set<String>, String, String)] {
            var model = ServedModel.test
            model.templateVariables = variables
            let chat = try ChatRequest(
                JSONBody(Array(BadRequestTests.user("\"reasoning_effort\":\"\(effort)\""))), model: model)
            #expect("\(chat.generation.conversation.arguments)" == expected)
        }
    }

    // MARK: Grammars

    private static let city = """
        {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}
        """

    @Test func required() throws {
        let (_, inference) = try request(Self.tools + ",\"tool_choice\":\"required\"", Self.model())
        func calls(_ begin: String) -> GrammarSource {
            .choice([
                .sequence([
                    .literal(begin + "{\"name\": \"weather\", \"arguments\": "),
                    .jsonSchema(Self.city, form: .canonical),
                    .literal("}\n</tool_call>"),
                ]),
                .sequence([
                    .literal(begin + "{\"name\": \"now\", \"arguments\": "), .literal("{}"),
                    .literal("}\n</tool_call>"),
                ]),
            ])
        }
        #expect(
            inference.sampling.grammar
                == .sequence([
                    calls("<tool_call>\n"), .repetition(calls("\n<tool_call>\n"), minimum: 0, maximum: nil),
                ]))
        #expect(inference.stop.isEmpty)
    }

    @Test func named() throws {
        let choice = ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"weather\"}}"
        for (format, begin, end) in [
            (ToolCallFormat.llama3JSON, "{\"name\": \"weather\", \"parameters\": ", ["}"]),
            (.json, "{\"name\": \"weather\", \"arguments\": ", ["}"]),
            (.mistral, "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": ", ["}", "]"]),
        ] {
            let (_, inference) = try request(
                Self.tools + choice + ",\"parallel_tool_calls\":false", Self.model(format))
            let call = GrammarSource.choice([
                .sequence([.literal(begin), .jsonSchema(Self.city, form: .canonical), .literal(end[0])])
            ])
            #expect(inference.sampling.grammar == .sequence([call] + end.dropFirst().map { .literal($0) }))
        }
        let (_, inference) = try request(
            Self.tools + choice + ",\"parallel_tool_calls\":false", Self.model(.pythonic))
        let python = GrammarSource.sequence([
            .literal("weather("),
            .sequence([.literal("city="), .jsonSchema("{\"type\":\"string\"}", form: .canonical)]), .literal(")"),
        ])
        #expect(
            inference.sampling.grammar
                == .sequence([.choice([.sequence([.literal("["), python])]), .literal("]")]))
    }

    @Test func behindReasoning() throws {
        let choice = Self.tools + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false"
        let plain = try request(choice, Self.model()).inference.sampling.grammar
        let answer = try #require(plain)
        let model = Self.model(reasoning: .think)
        let space = GrammarSource.regex("[ \\n]{0,4}")
        let open = try request(choice, model, service: PlainService(ending: "<think>\n"))
        #expect(open.inference.sampling.grammar == .sequence([.anyText(before: "</think>"), space, answer]))
        let closed = try request(choice, model, service: PlainService(ending: "<think>\n\n</think>\n\n"))
        #expect(closed.inference.sampling.grammar == answer)
        let none = try request(choice, model)
        #expect(
            none.inference.sampling.grammar
                == .choice([.sequence([.literal("<think>"), .anyText(before: "</think>"), space, answer]), answer]))
    }

    @Test func formats() throws {
        let format = "\"response_format\":{\"type\":\"json_object\"}"
        #expect(try request(format, Self.model()).inference.sampling.grammar == .jsonObject())
        // Where tools may be called too, the answer is one or the other.
        let both = try request(format + "," + Self.tools, Self.model()).inference.sampling.grammar
        guard case .choice(let options)? = both else {
            Issue.record("no choice: \(String(describing: both))")
            return
        }
        #expect(options.count == 2 && options[0] == .jsonObject())
        let error = #expect(throws: APIError.self) {
            _ = try request(format + ",\"tool_choice\":\"required\"," + Self.tools, Self.model())
        }
        #expect(error?.parameter == "response_format" && error?.status == 400)
        #expect(
            try request("\"structured_outputs\":{\"choice\":[\"a\",\"b\"]}", Self.model()).inference.sampling.grammar
                == .choice([.literal("a"), .literal("b")]))
        let completion = try CompletionRequest(
            JSONBody(Array("{\"prompt\":\"a\",\"guided_regex\":\"[a-z]+\"}")), model: .test)
        #expect(try completion.requests(id: "x", model: .test)[0].sampling.grammar == .regex("[a-z]+"))
        let native = try GenerateRequest.single(
            JSONBody(Array("{\"prompt\":\"a\",\"structured_outputs\":{\"json\":\"{\\\"type\\\":\\\"null\\\"}\"}}")),
            model: .test)
        #expect(try native.requests(id: "x", model: .test)[0].sampling.grammar == .jsonSchema("{\"type\":\"null\"}"))
    }

    @Test func grammarsThatCannotBeUsed() throws {
        for (fields, parameter) in [
            ("\"guided_regex\":\"(\"", "guided_regex"),
            (
                "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"type\":\"x\"}}}",
                "response_format.json_schema.schema"
            ),
            (
                "\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
                    + "{\"type\":\"x\"}}}]", "tools[0].function.parameters"
            ),
        ] {
            let error = #expect(throws: APIError.self) { _ = try request(fields, Self.model()) }
            #expect(error?.parameter == parameter && error?.status == 400, "\(fields)")
        }
    }

    @Test func strictFunctions() throws {
        let strict = Self.tools.replacingOccurrences(
            of: "\"name\":\"weather\"", with: "\"strict\":true,\"name\":\"weather\"")
        guard case .choice(let options)? = try request(strict, Self.model()).inference.sampling.grammar,
            options.count == 2, case .regex(let free) = options[0], case .sequence(let parts) = options[1]
        else {
            Issue.record("calls are not held to their schema")
            return
        }
        #expect(parts.first == .anyText(before: "<tool_call>"))
        let expression = try Regex(free)
        var random = SeededRandom(state: 3)
        let pieces = ["<", "<tool", "_call", ">", "<tool_call", "x", " ", "t", "<tool_call>", "<<", "tool_call>"]
        for _ in 0..<2000 {
            let text = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }.joined()
            #expect((try expression.wholeMatch(in: text) != nil) == !text.contains("<tool_call>"), "\(text)")
        }
    }

    @Test func singleCalls() throws {
        let model = Self.model()
        let (chat, inference) = try request(Self.tools + ",\"parallel_tool_calls\":false", model)
        #expect(inference.stop == ["</tool_call>"])
        var reader = chat.generation.reader(for: inference, model: model)
        let text = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n"
        let more = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n"
        let events = [
            InferenceEvent.output(InferenceDelta(index: 0, text: text + more, tokens: [1])),
            .finished(index: 0, reason: .stop, stopText: "</tool_call>"),
        ].flatMap { reader.read($0) }
        #expect(
            events.map(\.kind) == [
                .piece(.call(index: 0, name: "now")), .piece(.arguments(index: 0, text: "{}")),
                .finished(.toolCalls, stopText: nil),
            ])
    }

    // MARK: Answers

    private func stream(_ chat: ChatRequest, _ inference: InferenceRequest, _ texts: [String]) throws -> [[String: Any]]
    {
        var answer = ChatAnswer(id: "c", created: 1, request: chat, inference: inference, model: Self.model())
        var writer = JSONWriter()
        var usage = Usage()
        var events = [InferenceEvent.prompt(InferencePrompt(tokenCount: 3, cachedTokenCount: 0))]
        events += texts.map { .output(InferenceDelta(index: 0, text: $0, tokens: [1])) }
        events.append(.finished(index: 0, reason: .stop, stopText: nil))
        for event in events {
            usage.add(event)
            answer.encode(event, prompt: 0, usage: usage, into: &writer)
        }
        answer.finish(usage, into: &writer)
        return try String(decoding: writer.bytes, as: UTF8.self).components(separatedBy: "\n\n").dropLast().map {
            line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.dropFirst(6).utf8)) as? [String: Any])
        }
    }

    @Test func streamedCalls() throws {
        let (chat, inference) = try request(Self.tools + ",\"stream\":true,\"return_token_ids\":true", Self.model())
        let chunks = try stream(
            chat, inference,
            [
                "I look.", "\n<tool_call>\n{\"name\": \"wea", "ther\", \"arguments\": {\"ci", "ty\": \"Rome\"}",
                "}\n</tool_call>",
            ])
        #expect(chunks[0]["prompt_token_ids"] is [Int])
        let choices = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first }
        let deltas = choices.compactMap { $0["delta"] as? [String: Any] }
        #expect(deltas.compactMap { $0["content"] as? String }.joined() == "I look.")
        let calls = deltas.compactMap { ($0["tool_calls"] as? [[String: Any]])?.first }
        #expect(calls.allSatisfy { $0["index"] as? Int == 0 })
        #expect((calls.first?["id"] as? String)?.hasPrefix("call_") == true)
        #expect(calls.first?["type"] as? String == "function")
        let functions = calls.compactMap { $0["function"] as? [String: String] }
        #expect(functions.first == ["name": "weather", "arguments": ""])
        #expect(functions.compactMap { $0["arguments"] }.joined() == "{\"city\": \"Rome\"}")
        #expect(calls.dropFirst().allSatisfy { $0["id"] == nil })
        #expect(choices.last?["finish_reason"] as? String == "tool_calls")
        #expect(choices.flatMap { $0["token_ids"] as? [Int] ?? [] }.count == 5)
        #expect(chunks.allSatisfy { $0["service_tier"] as? String == "default" && $0["system_fingerprint"] is String })
    }

    private func answer(_ chat: ChatRequest, _ inference: InferenceRequest, _ model: ServedModel, _ text: String)
        throws -> [String: Any]
    {
        var result = InferenceResult(promptTokenCount: 3, sampleCount: 1)
        result.outputs[0].text = text
        result.outputs[0].finishReason = .stop
        let body = ChatAnswer(id: "c", created: 1, request: chat, inference: inference, model: model).body(result)
        let object = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
        return try #require((object?["choices"] as? [[String: Any]])?.first)
    }

    @Test func wholeAnswers() throws {
        let model = Self.model(reasoning: .think)
        let (chat, inference) = try request(Self.tools, model, service: PlainService(ending: "<think>"))
        let text = "Hm.</think>\n<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>"
        let choice = try answer(chat, inference, model, text)
        let message = try #require(choice["message"] as? [String: Any])
        #expect(message["content"] is NSNull)
        #expect(message["reasoning_content"] as? String == "Hm." && message["reasoning"] as? String == "Hm.")
        let calls = try #require(message["tool_calls"] as? [[String: Any]])
        #expect(calls.count == 1 && calls[0]["function"] as? [String: String] == ["name": "now", "arguments": "{}"])
        #expect(choice["finish_reason"] as? String == "tool_calls")

        // Without tools, and where reasoning is not wanted.
        let (other, otherInference) = try request("\"include_reasoning\":false", model)
        let plain = try #require(
            try answer(other, otherInference, model, "<think>Hm.</think>" + text.dropFirst(12))["message"]
                as? [String: Any])
        #expect(plain["content"] as? String == "<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>")
        #expect(plain["reasoning_content"] == nil && plain["tool_calls"] == nil)
    }

    @Test func markersThatAreControlTokens() throws {
        // `<|end|>` is the only control token of the test's vocabulary, and no marker.
        #expect(try request(Self.tools, Self.model()).inference.shownTokens.isEmpty)
    }

    @Test func tiersArePriorities() throws {
        for (fields, priority, tier) in [
            ("\"service_tier\":\"flex\"", 10, ServiceTier.flex), ("\"service_tier\":\"priority\"", -10, .priority),
            ("\"service_tier\":\"flex\",\"priority\":3", 3, .flex), ("\"service_tier\":\"auto\"", 0, .standard),
        ] {
            let (chat, inference) = try request(fields, Self.model())
            #expect(inference.priority == priority && chat.fields.serviceTier == tier)
        }
    }
}
