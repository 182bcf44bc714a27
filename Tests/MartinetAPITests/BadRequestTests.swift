import MartinetAPI
import MartinetEngine
import Testing

/// A wrong request, the field that the error must name and its code.
struct BadRequest: Sendable, CustomStringConvertible {
    var fields: String
    var parameter: String?
    var code: String
    var description: String { fields }

    init(_ fields: String, _ parameter: String?, _ code: String) {
        self.fields = fields
        self.parameter = parameter
        self.code = code
    }
}

@Suite struct BadRequestTests {
    static let sampling: [BadRequest] = [
        .init("\"temperature\":-0.1", "temperature", "out_of_range"),
        .init("\"temperature\":100.5", "temperature", "out_of_range"),
        .init("\"temperature\":1e300", "temperature", "out_of_range"),
        .init("\"temperature\":\"hot\"", "temperature", "invalid_type"),
        .init("\"temperature\":true", "temperature", "invalid_type"),
        .init("\"temperature\":[]", "temperature", "invalid_type"),
        .init("\"top_p\":0", "top_p", "out_of_range"),
        .init("\"top_p\":1.01", "top_p", "out_of_range"),
        .init("\"top_p\":{}", "top_p", "invalid_type"),
        .init("\"top_k\":-2", "top_k", "out_of_range"),
        .init("\"top_k\":1.5", "top_k", "out_of_range"),
        .init("\"top_k\":1e30", "top_k", "out_of_range"),
        .init("\"min_p\":-0.1", "min_p", "out_of_range"),
        .init("\"min_p\":2", "min_p", "out_of_range"),
        .init("\"repetition_penalty\":0", "repetition_penalty", "out_of_range"),
        .init("\"presence_penalty\":2.1", "presence_penalty", "out_of_range"),
        .init("\"frequency_penalty\":-2.1", "frequency_penalty", "out_of_range"),
        .init("\"seed\":1.5", "seed", "out_of_range"),
        .init("\"seed\":\"7\"", "seed", "invalid_type"),
        .init("\"seed\":1e25", "seed", "out_of_range"),
        .init("\"max_tokens\":0", "max_tokens", "out_of_range"),
        .init("\"max_tokens\":-1", "max_tokens", "out_of_range"),
        .init("\"max_tokens\":true", "max_tokens", "invalid_type"),
        .init("\"max_tokens\":99999999999999999999", "max_tokens", "out_of_range"),
        .init("\"max_tokens\":3,\"min_tokens\":4", "min_tokens", "out_of_range"),
        .init("\"min_tokens\":-1", "min_tokens", "out_of_range"),
        .init("\"n\":0", "n", "out_of_range"),
        .init("\"n\":9", "n", "out_of_range"),
        .init("\"n\":1000000000", "n", "out_of_range"),
        .init("\"n\":\"2\"", "n", "invalid_type"),
        .init("\"n\":2,\"best_of\":4", "best_of", "unsupported_parameter"),
        .init("\"use_beam_search\":true", "use_beam_search", "unsupported_parameter"),
        .init("\"stop\":5", "stop", "invalid_type"),
        .init("\"stop\":[\"a\",5]", "stop[1]", "invalid_type"),
        .init("\"stop\":\"\"", "stop", "invalid_value"),
        .init("\"stop\":[\"\(String(repeating: "x", count: 5000))\"]", "stop", "string_above_max_length"),
        .init(
            "\"stop\":[\(Array(repeating: "\"a\"", count: 65).joined(separator: ","))]", "stop",
            "array_above_max_length"),
        .init("\"stop_token_ids\":[257]", "stop_token_ids[0]", "out_of_range"),
        .init("\"stop_token_ids\":[-1]", "stop_token_ids[0]", "out_of_range"),
        .init("\"stop_token_ids\":3", "stop_token_ids", "invalid_type"),
        .init("\"logit_bias\":{\"a\":1}", "logit_bias", "invalid_value"),
        .init("\"logit_bias\":{\"300\":1}", "logit_bias", "invalid_value"),
        .init("\"logit_bias\":{\"5\":101}", "logit_bias.5", "out_of_range"),
        .init("\"logit_bias\":[1]", "logit_bias", "invalid_type"),
        .init("\"allowed_token_ids\":[]", "allowed_token_ids", "invalid_value"),
        .init("\"allowed_token_ids\":[1e9]", "allowed_token_ids[0]", "out_of_range"),
        .init("\"bad_words\":[\"\"]", "bad_words[0]", "invalid_type"),
        .init("\"bad_words\":\"x\"", "bad_words", "invalid_type"),
        .init("\"prompt_logprobs\":21", "prompt_logprobs", "out_of_range"),
        .init("\"ignore_eos\":1", "ignore_eos", "invalid_type"),
        .init("\"skip_special_tokens\":\"no\"", "skip_special_tokens", "invalid_type"),
        .init("\"priority\":1.5", "priority", "out_of_range"),
        .init("\"cache_salt\":\"\"", "cache_salt", "invalid_value"),
        .init("\"truncate_prompt_tokens\":0", "truncate_prompt_tokens", "out_of_range"),
        .init("\"guided_json\":5", "guided_json", "invalid_type"),
        .init("\"guided_json\":\"{\"", "guided_json", "invalid_value"),
        .init("\"guided_json\":{},\"guided_regex\":\"a\"", "guided_regex", "invalid_value"),
        .init("\"guided_choice\":[\"a\",\"\"]", "guided_choice[1]", "invalid_type"),
        .init("\"guided_whitespace_pattern\":\" \"", "guided_whitespace_pattern", "unsupported_parameter"),
        .init("\"structured_outputs\":{}", "structured_outputs", "invalid_value"),
        .init("\"structured_outputs\":{\"choice\":[]}", "structured_outputs.choice", "invalid_value"),
        .init("\"structured_outputs\":{\"json\":[]}", "structured_outputs.json", "invalid_type"),
        .init(
            "\"structured_outputs\":{\"regex\":\"a\",\"grammar\":\"b\"}", "structured_outputs.grammar",
            "invalid_value"),
        .init(
            "\"structured_outputs\":{\"structural_tag\":\"a\",\"regex\":\"a\"}", "structured_outputs.structural_tag",
            "unsupported_parameter"),
        .init(
            "\"response_format\":{\"type\":\"json_object\"},\"guided_regex\":\"a\"", "guided_regex", "invalid_value"),
        .init("\"response_format\":{}", "response_format.type", "invalid_value"),
        .init("\"response_format\":{\"type\":\"xml\"}", "response_format.type", "invalid_value"),
        .init(
            "\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema",
            "missing_required_parameter"),
        .init(
            "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}",
            "response_format.json_schema.name", "missing_required_parameter"),
        .init(
            "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\"}}",
            "response_format.json_schema.schema", "missing_required_parameter"),
        .init(
            "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":7}}",
            "response_format.json_schema.schema", "invalid_type"),
        .init("\"service_tier\":\"gold\"", "service_tier", "invalid_value"),
        .init("\"logits_processors\":[\"a\"]", "logits_processors", "unsupported_parameter"),
        .init("\"kv_transfer_params\":{}", "kv_transfer_params", "unsupported_parameter"),
        .init("\"stream\":1", "stream", "invalid_type"),
        .init("\"model\":\"gpt-9\"", "model", "model_not_found"),
        .init("\"model\":5", "model", "invalid_type"),
    ]

    @Test(arguments: sampling)
    func everySurfaceRefuses(_ bad: BadRequest) {
        expect(bad) { (body) throws(APIError) in
            try GenerateRequest.single(JSONBody(Array("{\"prompt\":\"a\",\(body)}")), model: .test)
        }
        expect(bad) { (body) throws(APIError) in
            try CompletionRequest(JSONBody(Array("{\"prompt\":\"a\",\(body)}")), model: .test)
        }
        expect(bad) { (body) throws(APIError) in
            try ChatRequest(
                JSONBody(Array("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\(body)}")), model: .test)
        }
    }

    @Test(arguments: [
        BadRequest("{}", "prompt", "missing_required_parameter"),
        .init("{\"prompt\":null}", "prompt", "missing_required_parameter"),
        .init("{\"prompt\":\"\"}", "prompt", "invalid_value"),
        .init("{\"prompt\":[]}", "prompt", "invalid_value"),
        .init("{\"prompt\":5}", "prompt", "invalid_type"),
        .init("{\"prompt\":{}}", "prompt", "invalid_type"),
        .init("{\"prompt\":[\"a\",[]]}", "prompt[1]", "invalid_value"),
        .init("{\"prompt\":[\"a\",5]}", "prompt[1]", "invalid_type"),
        .init("{\"prompt\":[[1],[257]]}", "prompt[1][0]", "out_of_range"),
        .init("{\"prompt\":[1,true]}", "prompt[1]", "invalid_type"),
        .init("{\"prompt\":[1,2147483648]}", "prompt[1]", "out_of_range"),
        .init("{\"prompt\":[\"a\",\"a\",\"a\"],\"n\":8}", "n", "out_of_range"),
        .init("{\"prompt\":\"a\",\"logprobs\":true}", "logprobs", "invalid_type"),
        .init("{\"prompt\":\"a\",\"logprobs\":21}", "logprobs", "out_of_range"),
        .init("{\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix", "unsupported_parameter"),
        .init("{\"prompt\":\"a\",\"echo\":\"yes\"}", "echo", "invalid_type"),
        .init("{\"prompt\":\"a\",\"stream_options\":{}}", "stream_options", "invalid_value"),
        .init("{\"prompt\":\"a\",\"stream\":true,\"stream_options\":[]}", "stream_options", "invalid_type"),
        .init("{\"prompt\":\"a\",\"stream\":true,\"prompt_logprobs\":1}", "prompt_logprobs", "unsupported_parameter"),
        .init("{\"prompt\":\"a\",\"user\":{}}", "user", "invalid_type"),
        .init("[]", nil, "invalid_type"), .init("\"a\"", nil, "invalid_type"), .init("", nil, "invalid_json"),
        .init("{\"prompt\":\"a\"", nil, "invalid_json"),
        .init("{\"prompt\":\"a\",\"prompt\":\"b\"}", nil, "invalid_json"),
    ])
    func completions(_ bad: BadRequest) {
        expect(bad) { (body) throws(APIError) in try CompletionRequest(JSONBody(Array(body)), model: .test) }
    }

    @Test(arguments: [
        BadRequest("{}", "messages", "missing_required_parameter"),
        .init("{\"messages\":[]}", "messages", "invalid_value"),
        .init("{\"messages\":\"hi\"}", "messages", "invalid_type"),
        .init("{\"messages\":[5]}", "messages[0]", "invalid_type"),
        .init("{\"messages\":[{}]}", "messages[0].role", "missing_required_parameter"),
        .init("{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "missing_required_parameter"),
        .init("{\"messages\":[{\"role\":\"wizard\",\"content\":\"a\"}]}", "messages[0].role", "invalid_value"),
        .init("{\"messages\":[{\"role\":5,\"content\":\"a\"}]}", "messages[0].role", "invalid_type"),
        .init("{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "messages[0].content", "invalid_type"),
        .init(
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]}",
            "messages[0].content[0].type", "unsupported_content"),
        .init(
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", "messages[0].content[0].text",
            "missing_required_parameter"),
        .init(
            "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"tool_calls\":[]}]}", "messages[0].tool_calls",
            "invalid_value"),
        .init(user("\"tools\":[{\"type\":\"x\"}]"), "tools[0].type", "invalid_value"),
        .init(
            user("\"tools\":[{\"type\":\"function\",\"function\":{}}]"), "tools[0].function.name",
            "missing_required_parameter"),
        .init(user("\"tool_choice\":\"required\""), "tool_choice", "unsupported_parameter"),
        .init(user("\"tool_choice\":5"), "tool_choice", "invalid_type"),
        .init(user("\"logprobs\":5"), "logprobs", "invalid_type"),
        .init(user("\"top_logprobs\":5"), "top_logprobs", "invalid_value"),
        .init(user("\"logprobs\":true,\"top_logprobs\":21"), "top_logprobs", "out_of_range"),
        .init(user("\"max_completion_tokens\":0"), "max_completion_tokens", "out_of_range"),
        .init(user("\"response_format\":{\"type\":\"json_schema\"}"), "response_format.type", "unsupported_parameter"),
        .init(user("\"response_format\":{\"type\":\"xml\"}"), "response_format.type", "invalid_value"),
        .init(user("\"response_format\":\"text\""), "response_format", "invalid_type"),
        .init(user("\"chat_template\":\"x\""), "chat_template", "unsupported_parameter"),
        .init(user("\"chat_template_kwargs\":{\"messages\":[]}"), "chat_template_kwargs", "invalid_value"),
        .init(
            user("\"continue_final_message\":true,\"add_generation_prompt\":true"), "continue_final_message",
            "invalid_value"),
        .init(user("\"functions\":[]"), "functions", "unsupported_parameter"),
        .init(user("\"modalities\":[\"audio\"]"), "modalities", "unsupported_parameter"),
        .init(user("\"store\":true"), "store", "unsupported_parameter"),
    ])
    func chat(_ bad: BadRequest) {
        expect(bad) { (body) throws(APIError) in try ChatRequest(JSONBody(Array(body)), model: .test) }
    }

    @Test(arguments: [
        BadRequest("{}", "prompts", "missing_required_parameter"),
        .init("{\"prompts\":[]}", "prompts", "invalid_value"),
        .init("{\"prompts\":\"a\"}", "prompts", "invalid_type"),
        .init("{\"prompts\":[\"a\",\"\"]}", "prompts[1]", "invalid_value"),
        .init("{\"prompts\":[\"a\"],\"stream\":true}", "stream", "unsupported_parameter"),
        .init("{\"prompts\":[\"a\"],\"n\":2}", "n", "unsupported_parameter"),
        .init(
            "{\"prompts\":[\(Array(repeating: "\"a\"", count: 17).joined(separator: ","))]}", "prompts",
            "array_above_max_length"),
    ])
    func batch(_ bad: BadRequest) {
        expect(bad) { (body) throws(APIError) in try GenerateRequest.batch(JSONBody(Array(body)), model: .test) }
    }

    @Test(arguments: [
        BadRequest("{}", "tokens", "missing_required_parameter"),
        .init("{\"tokens\":\"a\"}", "tokens", "invalid_type"),
        .init("{\"tokens\":[257]}", "tokens[0]", "out_of_range"),
        .init("{\"tokens\":[1.5]}", "tokens[0]", "out_of_range"),
    ])
    func detokenize(_ bad: BadRequest) {
        expect(bad) { (body) throws(APIError) in try DetokenizeRequest(JSONBody(Array(body)), model: .test) }
    }

    /// Requests that decode, but do not fit the model.
    @Test(arguments: [
        "{\"prompt\":\"\(String(repeating: "a", count: 64))\"}", "{\"prompt\":\"a\",\"max_tokens\":64}",
        "{\"prompt\":\"a\",\"max_tokens\":2147483647}", "{\"prompt\":\"\(String(repeating: "a", count: 100_000))\"}",
    ])
    func doesNotFit(_ body: String) throws {
        let request = try CompletionRequest(JSONBody(Array(body)), model: .test)
        let error = #expect(throws: APIError.self) { try request.requests(id: "x", model: .test) }
        #expect(error?.code == "context_length_exceeded")
        #expect(error?.status == 400)
    }

    static func user(_ fields: String) -> String { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\(fields)}" }

    private func expect<Value>(_ bad: BadRequest, _ decode: (String) throws(APIError) -> Value) {
        do throws(APIError) {
            _ = try decode(bad.fields)
            Issue.record("taken: \(bad.fields)")
        } catch {
            #expect(error.parameter == bad.parameter, "\(error.message)")
            #expect(error.code == bad.code, "\(error.message)")
            #expect(error.status == (bad.code == "model_not_found" ? 404 : 400))
            #expect(error.message.utf8.count < 2000)
        }
    }
}
