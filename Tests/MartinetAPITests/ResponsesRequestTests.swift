import MartinetAPI
import MartinetEngine
import MartinetGrammars
import MartinetJSON
import MartinetTemplates
import Testing

@Suite struct ResponsesRequestTests {
    private func decode(
        _ fields: String, stores: Bool = false, model: ServedModel = .talking()
    ) throws(APIError) -> ResponsesRequest {
        let input = fields.contains("\"input\"") ? "" : ",\"input\":\"a\""
        return try ResponsesRequest(JSONBody(Array("{\(fields)\(input)}")), model: model, stores: stores)
    }

    private func render(_ fields: String, after earlier: [JSONValue] = []) throws -> ConversationService {
        let service = ConversationService()
        _ = try decode(fields).generation(id: "x", after: earlier, model: .talking(), service: service)
        return service
    }

    @Test func items() throws {
        let text = try render(
            """
            "instructions":"Be terse.","tools":[{"type":"function","name":"weather","parameters":{"type":"object"}}],
            "input":[
              {"role":"developer","content":"Now."},
              {"role":"user","content":[{"type":"input_text","text":"Wea"},{"type":"input_text","text":"ther?"}]},
              {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]},
              {"type":"message","role":"assistant","id":"msg_1","status":"completed",
               "content":[{"type":"output_text","text":"I look.","annotations":[]}]},
              {"type":"function_call","call_id":"c1","name":"weather","arguments":"{\\"city\\":\\"Paris\\"}"},
              {"type":"function_call","call_id":"c2","name":"weather","arguments":"no JSON"},
              {"type":"function_call_output","call_id":"c1","output":"sun"},
              {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"rain"}]}]
            """
        ).rendered
        #expect(
            text == """
                tool weather
                system: Be terse.
                Now.
                user: Weather?
                assistant: I look. (Hm.) [c1 weather city] [c2 weather no JSON]
                tool: sun <c1 weather>
                tool: rain <c2 weather>
                assistant:
                """)
    }

    @Test func earlierItemsComeFirst() throws {
        let earlier = try JSONParser.parse(
            Array(
                """
                [{"type":"message","role":"user","content":[{"type":"input_text","text":"Hi"}]},
                 {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}]
                """))
        guard case .array(let items) = earlier else { return }
        let request = try decode(
            "\"previous_response_id\":\"resp_1\",\"instructions\":\"New.\",\"input\":"
                + "[{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"1\"}]", stores: true)
        let service = ConversationService()
        _ = try request.generation(id: "x", after: items, model: .talking(), service: service)
        #expect(service.rendered == "system: New.\nuser: Hi\nassistant:  [c1 f ]\ntool: 1 <c1 f>\nassistant:")
        #expect(request.previousID == "resp_1")
    }

    @Test func storing() throws {
        #expect(try !decode("\"user\":\"u\"").isStored)
        #expect(try decode("\"user\":\"u\"", stores: true).isStored)
        #expect(try !decode("\"store\":false", stores: true).isStored)
        #expect(try decode("\"store\":true", stores: true).isStored)
    }

    private static let two =
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\",\"name\":\"g\",\"parameters\":null}]"

    @Test(arguments: [
        ("\"auto\"", ToolChoice.auto, "fg"), ("\"none\"", .none, ""), ("\"required\"", .required, "fg"),
        ("{\"type\":\"function\",\"name\":\"g\"}", .named("g"), "fg"),
        (
            "{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]}",
            .required, "g"
        ),
        (
            "{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]}", .auto,
            "f"
        ),
    ])
    func choices(_ choice: String, _ expected: ToolChoice, _ names: String) throws {
        let service = ConversationService()
        let request = try decode("\(Self.two),\"tool_choice\":\(choice),\"parallel_tool_calls\":false")
        let (generation, _) = try request.generation(id: "x", after: [], model: .talking(), service: service)
        #expect(generation.conversation.toolChoice == expected && !generation.conversation.allowsParallelCalls)
        let shown = service.rendered.split(separator: "\n").filter { $0.hasPrefix("tool ") }.map { $0.dropFirst(5) }
        #expect(shown.joined() == names)
    }

    @Test func formats() throws {
        let schema = "{\"type\":\"object\"}"
        for (format, grammar) in [
            ("{\"type\":\"text\"}", nil), ("{\"type\":\"json_object\"}", .jsonObject()),
            (
                "{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":\(schema)}",
                .jsonSchema(schema, form: .canonical)
            ),
        ] as [(String, GrammarSource?)] {
            let (generation, _) = try decode("\"text\":{\"format\":\(format),\"verbosity\":\"low\"}").generation(
                id: "x", after: [], model: .talking(), service: ConversationService())
            #expect(generation.fields.constraint?.grammar == grammar)
        }
    }

    @Test func effort() throws {
        #expect(try render("\"reasoning\":{\"effort\":\"xhigh\"}").arguments["reasoning_effort"]?.text == "xhigh")
        let none = try render("\"reasoning\":{\"effort\":\"none\",\"summary\":\"auto\"}").arguments["enable_thinking"]
        guard case .bool(false)? = none else {
            Issue.record("effort none thinks")
            return
        }
    }

    @Test func truncation() throws {
        let turns = (0..<6).map {
            "{\"role\":\"user\",\"content\":\"question \($0)\"},{\"role\":\"assistant\",\"content\":\"answer\"}"
        }
        let input =
            "\"instructions\":\"Sys.\",\"input\":[\(turns.joined(separator: ",")),{\"role\":\"user\",\"content\":\"last\"}]"
        let model = ServedModel.talking(length: 90)
        let service = ConversationService()
        let request = try decode("\(input),\"truncation\":\"auto\"", model: model)
        let (generation, engine) = try request.generation(id: "x", after: [], model: model, service: service)
        #expect(engine.prompt.count < 90 && generation.conversation.messages.count == 4)
        let kept = generation.conversation.messages.map { $0["content"].text }
        #expect(kept == ["Sys.", "question 5", "answer", "last"])
        for fields in [
            "\(input),\"truncation\":\"disabled\"",
            "\"truncation\":\"auto\",\"input\":\"\(String(repeating: "x", count: 99))\"",
        ] {
            let request = try decode(fields, model: model)
            #expect(throws: APIError.self) {
                _ = try request.generation(id: "x", after: [], model: model, service: service)
            }
        }
    }

    @Test func logprobs() throws {
        for (fields, expected) in [
            ("\"include\":[\"message.output_text.logprobs\"]", 0), ("\"top_logprobs\":3", 3), ("\"user\":\"u\"", nil),
            ("\"include\":[\"reasoning.encrypted_content\",\"web_search_call.results\"]", nil),
        ] as [(String, Int?)] {
            let (generation, _) = try decode(fields).generation(
                id: "x", after: [], model: .talking(), service: ConversationService())
            #expect(generation.fields.sampling.logprobs == expected)
        }
    }

    static let bad: [BadRequest] = [
        .init("\"input\":null", "input", "missing_required_parameter"),
        .init("\"input\":[]", "input", "invalid_value"),
        .init("\"input\":5", "input", "invalid_type"),
        .init("\"input\":[5]", "input[0]", "invalid_type"),
        .init("\"input\":[{\"content\":\"a\"}]", "input[0].role", "missing_required_parameter"),
        .init("\"input\":[{\"role\":\"tool\",\"content\":\"a\"}]", "input[0].role", "invalid_value"),
        .init("\"input\":[{\"role\":\"user\"}]", "input[0].content", "missing_required_parameter"),
        .init("\"input\":[{\"role\":\"user\",\"content\":5}]", "input[0].content", "invalid_type"),
        .init(
            "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]", "input[0].content[0].type",
            "unsupported_content"),
        .init(
            "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\"}]}]", "input[0].content[0].type",
            "unsupported_content"),
        .init(
            "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]", "input[0].content[0].text",
            "missing_required_parameter"),
        .init("\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]", "input[0].type", "unsupported_parameter"),
        .init("\"input\":[{\"type\":\"web_search_call\"}]", "input[0].type", "unsupported_parameter"),
        .init(
            "\"input\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"}]", "input[0].call_id",
            "missing_required_parameter"),
        .init(
            "\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}]", "input[0].arguments",
            "missing_required_parameter"),
        .init(
            "\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"\"}]", "input[0].call_id",
            "invalid_value"),
        .init(
            "\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\"}]", "input[0].output",
            "missing_required_parameter"),
        .init("\"instructions\":5", "instructions", "invalid_type"),
        .init("\"max_output_tokens\":0", "max_output_tokens", "out_of_range"),
        .init("\"temperature\":2.1", "temperature", "out_of_range"),
        .init("\"top_p\":0", "top_p", "out_of_range"),
        .init("\"n\":2", "n", "unsupported_parameter"),
        .init("\"prompt_logprobs\":1", "prompt_logprobs", "unsupported_parameter"),
        .init("\"stream\":1", "stream", "invalid_type"),
        .init("\"stream_options\":1", "stream_options", "invalid_type"),
        .init("\"model\":\"gpt-9\"", "model", "model_not_found"),
        .init("\"store\":true", "store", "unsupported_parameter"),
        .init("\"store\":\"yes\"", "store", "invalid_type"),
        .init("\"previous_response_id\":\"resp_1\"", "previous_response_id", "unsupported_parameter"),
        .init("\"background\":true", "background", "unsupported_parameter"),
        .init("\"conversation\":\"conv_1\"", "conversation", "unsupported_parameter"),
        .init("\"prompt\":{\"id\":\"p\"}", "prompt", "unsupported_parameter"),
        .init("\"moderation\":{\"model\":\"m\"}", "moderation", "unsupported_parameter"),
        .init("\"tools\":[{\"type\":\"web_search\"}]", "tools[0].type", "unsupported_parameter"),
        .init("\"tools\":[{\"type\":\"mcp\"}]", "tools[0].type", "unsupported_parameter"),
        .init("\"tools\":[{\"type\":\"function\"}]", "tools[0].name", "missing_required_parameter"),
        .init(
            "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":5}]", "tools[0].parameters",
            "invalid_type"),
        .init(
            "\"tools\":[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\",\"name\":\"f\"}]",
            "tools[1].name", "invalid_value"),
        .init("\"tool_choice\":\"required\"", "tool_choice", "invalid_value"),
        .init("\"tool_choice\":\"some\"", "tool_choice", "invalid_type"),
        .init("\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}", "tool_choice.name", "invalid_value"),
        .init("\"tool_choice\":{\"type\":\"function\"}", "tool_choice.name", "missing_required_parameter"),
        .init("\"tool_choice\":{\"type\":\"file_search\"}", "tool_choice.type", "unsupported_parameter"),
        .init("\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"x\"}", "tool_choice.mode", "invalid_value"),
        .init(
            "\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[{\"name\":\"g\"}]}", "tool_choice.tools[0].name",
            "invalid_value"),
        .init("\"parallel_tool_calls\":1", "parallel_tool_calls", "invalid_type"),
        .init("\"text\":{\"format\":{\"type\":\"xml\"}}", "text.format.type", "invalid_value"),
        .init("\"text\":{\"format\":5}", "text.format", "invalid_type"),
        .init(
            "\"text\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}", "text.format.name",
            "missing_required_parameter"),
        .init(
            "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\"}}", "text.format.schema",
            "missing_required_parameter"),
        .init(
            "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":1}}", "text.format.schema",
            "invalid_type"),
        .init("\"reasoning\":{\"effort\":\"huge\"}", "reasoning.effort", "invalid_value"),
        .init("\"reasoning\":5", "reasoning", "invalid_type"),
        .init("\"include\":[\"everything\"]", "include[0]", "invalid_type"),
        .init("\"include\":\"everything\"", "include", "invalid_type"),
        .init("\"top_logprobs\":21", "top_logprobs", "out_of_range"),
        .init("\"truncation\":\"middle\"", "truncation", "invalid_value"),
        .init("\"max_tool_calls\":0", "max_tool_calls", "out_of_range"),
        .init("\"metadata\":[]", "metadata", "invalid_type"),
        .init("\"metadata\":{\"a\":1}", "metadata", "invalid_value"),
        .init("\"metadata\":{\"a\":\"\(String(repeating: "x", count: 513))\"}", "metadata", "invalid_value"),
        .init("\"user\":5", "user", "invalid_type"),
        .init("\"safety_identifier\":5", "safety_identifier", "invalid_type"),
        .init("\"prompt_cache_key\":5", "prompt_cache_key", "invalid_type"),
        .init("\"service_tier\":5", "service_tier", "invalid_type"),
    ]

    @Test(arguments: bad)
    func refusals(_ bad: BadRequest) {
        do {
            _ = try decode(bad.fields)
            Issue.record("\(bad) was taken")
        } catch {
            #expect(error.parameter == bad.parameter, "\(bad): \(error)")
            #expect(error.code == bad.code, "\(bad): \(error)")
            #expect(error.status == (bad.code == "model_not_found" ? 404 : 400))
        }
    }
}
