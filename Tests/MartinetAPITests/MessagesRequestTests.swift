import MartinetAPI
import MartinetEngine
import MartinetGrammars
import MartinetTemplates
import Testing

@Suite struct MessagesRequestTests {
    private func decode(_ fields: String, _ model: ServedModel = .talking()) throws(APIError) -> MessagesRequest {
        try MessagesRequest(JSONBody(Array("{\(fields)}")), model: model)
    }

    /// A whole request around some fields.
    private static func around(_ fields: String) -> String {
        var body = fields
        if !fields.contains("\"max_tokens\"") { body += ",\"max_tokens\":5" }
        if !fields.contains("\"messages\"") { body += ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]" }
        return body
    }

    private func render(_ fields: String) throws -> String {
        let service = ConversationService()
        let request = try decode(Self.around(fields))
        _ = try request.generation.request(id: "x", model: .talking(), service: service)
        return service.rendered
    }

    @Test func conversation() throws {
        let text = try render(
            """
            "system":[{"type":"text","text":"Be terse.","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Now."}],
            "tools":[{"name":"weather","description":"d","input_schema":{"type":"object"}}],
            "messages":[
              {"role":"user","content":"Weather?"},{"role":"user","content":[{"type":"text","text":"In Paris."}]},
              {"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"s"},
                {"type":"redacted_thinking","data":"x"},{"type":"text","text":"I look."},
                {"type":"tool_use","id":"t1","name":"weather","input":{"city":"Paris"}},
                {"type":"tool_use","id":"t2","name":"weather","input":{}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"sun"}]},
                {"type":"tool_result","tool_use_id":"t2","is_error":true,"content":"down"},
                {"type":"text","text":"So?"}]}]
            """)
        #expect(
            text == """
                tool weather
                system: Be terse.
                Now.
                user: Weather?
                In Paris.
                assistant: I look. (Hm.) [t1 weather city] [t2 weather ]
                tool: sun <t1 weather>
                tool: Error: down <t2 weather>
                user: So?
                assistant:
                """)
    }

    @Test func prefill() throws {
        let text = try render(
            "\"messages\":[{\"role\":\"user\",\"content\":\"Count\"},{\"role\":\"assistant\",\"content\":\"1, 2\"}]")
        #expect(text == "user: Count\nassistant: 1, 2\n(goes on)")
    }

    @Test func sampling() throws {
        let request = try decode(
            Self.around(
                "\"stop_sequences\":[\"A\",\"B\"],\"temperature\":0.5,\"top_p\":0.9,\"top_k\":7,\"stream\":true"))
        let fields = request.generation.fields
        #expect(request.stream && fields.stop == ["A", "B"] && fields.sampling.maxTokens == 5)
        #expect(fields.sampling.temperature == 0.5 && fields.sampling.topP == 0.9 && fields.sampling.topK == 7)
        // The bound is one: a client that asks for more than the context holds gets what it holds.
        let long = try decode(Self.around("\"max_tokens\":100000"))
        let request2 = try long.generation.request(id: "x", model: .talking(length: 64), service: ConversationService())
        #expect(request2.sampling.maxTokens == 64 - request2.prompt.count)
    }

    @Test func choices() throws {
        let tools =
            "\"tools\":[{\"name\":\"f\",\"input_schema\":{}},{\"type\":\"custom\",\"name\":\"g\",\"input_schema\":{}}]"
        for (choice, expected) in [
            ("{\"type\":\"auto\"}", ToolChoice.auto), ("{\"type\":\"any\"}", .required), ("{\"type\":\"none\"}", .none),
            ("{\"type\":\"tool\",\"name\":\"g\"}", .named("g")),
        ] {
            let request = try decode(Self.around("\(tools),\"tool_choice\":\(choice)"))
            #expect(request.generation.conversation.toolChoice == expected)
            #expect(request.generation.conversation.allowsParallelCalls)
        }
        let single = try decode(
            Self.around("\(tools),\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}"))
        #expect(!single.generation.conversation.allowsParallelCalls)
    }

    @Test(arguments: [
        ("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}", true as Bool?),
        ("\"thinking\":{\"type\":\"disabled\"}", false), ("\"thinking\":{\"type\":\"adaptive\"}", nil),
        ("\"top_k\":1", false),
    ])
    func thinking(_ fields: String, _ expected: Bool?) throws {
        let arguments = try decode(Self.around(fields)).generation.conversation.arguments
        let value = arguments.first { $0.0 == "enable_thinking" }?.1
        switch value {
        case .bool(let flag)?: #expect(flag == expected)
        default: #expect(value == nil && expected == nil)
        }
    }

    @Test func formats() throws {
        let schema = "{\"type\":\"object\",\"properties\":{}}"
        for field in ["\"output_config\":{\"format\":", "\"x\":{},\"output_format\":"] {
            let end = field.contains("config") ? "}" : ""
            let request = try decode(Self.around("\(field){\"type\":\"json_schema\",\"schema\":\(schema)}\(end)"))
            #expect(request.generation.fields.constraint?.grammar == .jsonSchema(schema, form: .canonical))
        }
        let effort = try decode(Self.around("\"output_config\":{\"effort\":\"max\"}"))
        #expect(effort.generation.conversation.arguments.contains { $0.0 == "reasoning_effort" && $0.1.text == "high" })
    }

    @Test func count() throws {
        let service = ConversationService()
        let body = try MessagesRequest.count(
            JSONBody(Array("{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}")), model: .talking(),
            service: service)
        #expect(try object(body)["input_tokens"] as? Int == service.rendered.utf8.count)
    }

    private static func message(_ content: String, role: String = "user") -> String {
        "\"messages\":[{\"role\":\"\(role)\",\"content\":\(content)}]"
    }

    static let bad: [BadRequest] = [
        .init("\"max_tokens\":null", "max_tokens", "missing_required_parameter"),
        .init("\"max_tokens\":0", "max_tokens", "out_of_range"),
        .init("\"max_tokens\":\"5\"", "max_tokens", "invalid_type"),
        .init("\"messages\":null", "messages", "missing_required_parameter"),
        .init("\"messages\":[]", "messages", "invalid_value"),
        .init("\"messages\":{}", "messages", "invalid_type"),
        .init("\"messages\":[1]", "messages[0]", "invalid_type"),
        .init("\"messages\":[{\"content\":\"a\"}]", "messages[0].role", "missing_required_parameter"),
        .init("\"messages\":[{\"role\":\"tool\",\"content\":\"a\"}]", "messages[0].role", "invalid_value"),
        .init("\"messages\":[{\"role\":\"user\"}]", "messages[0].content", "missing_required_parameter"),
        .init(message("5"), "messages[0].content", "invalid_type"),
        .init(message("[]"), "messages[0].content", "invalid_value"),
        .init(
            message("[{\"type\":\"redacted_thinking\",\"data\":\"x\"}]", role: "assistant"), "messages",
            "invalid_value"),
        .init(message("[\"a\"]"), "messages[0].content[0]", "invalid_type"),
        .init(message("[{\"type\":\"text\"}]"), "messages[0].content[0].text", "missing_required_parameter"),
        .init(message("[{\"type\":\"image\",\"source\":{}}]"), "messages[0].content[0].type", "unsupported_content"),
        .init(message("[{\"type\":\"document\"}]"), "messages[0].content[0].type", "unsupported_content"),
        .init(message("[{}]"), "messages[0].content[0].type", "unsupported_content"),
        .init(message("[{\"type\":\"tool_use\"}]"), "messages[0].content[0].type", "unsupported_content"),
        .init(
            message("[{\"type\":\"tool_result\",\"tool_use_id\":\"a\"}]"), "messages[0].content[0].tool_use_id",
            "invalid_value"),
        .init(
            message("[{\"type\":\"tool_use\",\"id\":\"a\"}]", role: "assistant"), "messages[0].content[0].name",
            "missing_required_parameter"),
        .init(
            message("[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":[]}]", role: "assistant"),
            "messages[0].content[0].input", "invalid_type"),
        .init(
            message("[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}]", role: "assistant"),
            "messages",
            "invalid_value"),
        .init("\"system\":5", "system", "invalid_type"),
        .init("\"system\":[{\"type\":\"image\"}]", "system[0].type", "unsupported_content"),
        .init("\"temperature\":1.1", "temperature", "out_of_range"),
        .init("\"top_p\":0", "top_p", "out_of_range"),
        .init("\"top_k\":-2", "top_k", "out_of_range"),
        .init("\"n\":2", "n", "unsupported_parameter"),
        .init("\"prompt_logprobs\":1", "prompt_logprobs", "unsupported_parameter"),
        .init("\"stop_sequences\":\"a\"", "stop_sequences", "invalid_type"),
        .init("\"stop_sequences\":[\"\"]", "stop_sequences[0]", "invalid_type"),
        .init("\"stop_sequences\":[5]", "stop_sequences[0]", "invalid_type"),
        .init("\"stream\":\"yes\"", "stream", "invalid_type"),
        .init("\"model\":\"claude\"", "model", "model_not_found"),
        .init("\"tools\":[{\"name\":\"f\"}]", "tools[0].input_schema", "missing_required_parameter"),
        .init("\"tools\":[{\"input_schema\":{}}]", "tools[0].name", "missing_required_parameter"),
        .init("\"tools\":[{\"name\":\"f\",\"input_schema\":5}]", "tools[0].input_schema", "invalid_type"),
        .init(
            "\"tools\":[{\"name\":\"f\",\"input_schema\":{}},{\"name\":\"f\",\"input_schema\":{}}]", "tools[1].name",
            "invalid_value"),
        .init(
            "\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]", "tools[0].type",
            "unsupported_parameter"),
        .init("\"tool_choice\":{\"type\":\"any\"}", "tool_choice", "invalid_value"),
        .init("\"tool_choice\":{\"type\":\"some\"}", "tool_choice.type", "invalid_value"),
        .init("\"tool_choice\":{\"type\":\"tool\"}", "tool_choice.name", "missing_required_parameter"),
        .init("\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}", "tool_choice.name", "invalid_value"),
        .init("\"tool_choice\":\"auto\"", "tool_choice", "invalid_type"),
        .init("\"thinking\":{\"type\":\"enabled\"}", "thinking.budget_tokens", "missing_required_parameter"),
        .init("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":0}", "thinking.budget_tokens", "out_of_range"),
        .init("\"thinking\":{\"type\":\"deep\"}", "thinking.type", "invalid_value"),
        .init("\"thinking\":{\"type\":\"adaptive\",\"display\":\"all\"}", "thinking.display", "invalid_value"),
        .init("\"output_config\":{\"effort\":\"huge\"}", "output_config.effort", "invalid_value"),
        .init("\"output_config\":{\"format\":{\"type\":\"text\"}}", "output_config.format.type", "invalid_value"),
        .init(
            "\"output_config\":{\"format\":{\"type\":\"json_schema\"}}", "output_config.format.schema",
            "missing_required_parameter"),
        .init("\"output_format\":{\"type\":\"json_schema\",\"schema\":1}", "output_format.schema", "invalid_type"),
        .init("\"container\":\"c\"", "container", "unsupported_parameter"),
        .init("\"mcp_servers\":[]", "mcp_servers", "unsupported_parameter"),
        .init("\"inference_geo\":\"us\"", "inference_geo", "unsupported_parameter"),
        .init("\"service_tier\":\"gold\"", "service_tier", "invalid_value"),
        .init("\"metadata\":5", "metadata", "invalid_type"),
        .init("\"metadata\":{\"user_id\":5}", "metadata.user_id", "invalid_type"),
    ]

    @Test(arguments: bad)
    func refusals(_ bad: BadRequest) {
        do {
            _ = try decode(Self.around(bad.fields))
            Issue.record("\(bad) was taken")
        } catch {
            #expect(error.parameter == bad.parameter, "\(bad): \(error)")
            #expect(error.code == bad.code, "\(bad): \(error)")
            #expect(error.status == (bad.code == "model_not_found" ? 404 : 400))
        }
    }
}
