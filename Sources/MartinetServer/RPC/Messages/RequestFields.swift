internal import MartinetAPI
internal import MartinetInferenceProtocol
internal import MartinetJSON

/// The fields of a message under the names that they have in the body of the HTTP route: what checks those checks these.
struct RequestFields {
    private(set) var members: [(key: String, value: JSONValue)] = []

    var body: JSONBody { JSONBody(members: members) }
    var object: JSONValue { .object(members) }

    mutating func add(_ name: String, _ value: JSONValue) {
        members.append((key: name, value: value))
    }

    /// Adds a list, where it is not empty. It may be as long as no route takes: each element becomes larger.
    mutating func add<Element>(
        _ name: String, _ values: [Element], _ value: (Element) -> JSONValue
    ) throws(APIError) {
        guard values.count <= Self.maximumElements else {
            throw .invalid(
                name, "`\(name)` must have at most \(Self.maximumElements) elements, got \(values.count).",
                code: "array_above_max_length")
        }
        if !values.isEmpty { add(name, .array(values.map(value))) }
    }

    /// Adds what a text says in JSON.
    mutating func add(_ name: String, json text: String, field: String) throws(APIError) {
        do {
            add(name, try JSONParser.parse(Array(text.utf8)))
        } catch {
            throw .invalid(field, "`\(field)` must be JSON text: \(error).", code: "invalid_json")
        }
    }

    /// The name of the model; an empty one stands for the server's first.
    mutating func add(model name: String) {
        if !name.isEmpty { add("model", .string(name)) }
    }

    private static let maximumElements = 1 << 20
}

extension RPCSamplingParameters {
    /// Where a field of the HTTP route stands in the messages.
    static func path(of parameter: String) -> String {
        let name = parameter.prefix { $0 != "." && $0 != "[" }
        return names.contains(String(name)) ? "sampling.\(parameter)" : parameter
    }

    private static let names: Set<String> = [
        "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed",
        "max_tokens", "min_tokens", "stop", "stop_token_ids", "ignore_eos", "include_stop_str_in_output",
        "skip_special_tokens", "n", "logit_bias", "logprobs", "prompt_logprobs", "bad_words", "allowed_token_ids",
        "truncate_prompt_tokens", "priority", "cache_salt",
    ]

    /// Adds all that is set but `logprobs`, which every route spells differently.
    func add(to fields: inout RequestFields) throws(APIError) {
        if hasTemperature { fields.add("temperature", .double(temperature)) }
        if hasTopP { fields.add("top_p", .double(topP)) }
        if hasTopK { fields.add("top_k", .integer(Int(topK))) }
        if hasMinP { fields.add("min_p", .double(minP)) }
        if hasRepetitionPenalty { fields.add("repetition_penalty", .double(repetitionPenalty)) }
        if hasPresencePenalty { fields.add("presence_penalty", .double(presencePenalty)) }
        if hasFrequencyPenalty { fields.add("frequency_penalty", .double(frequencyPenalty)) }
        if hasSeed { fields.add("seed", .integer(Int(seed))) }
        if hasMaxTokens { fields.add("max_tokens", .integer(Int(maxTokens))) }
        if hasMinTokens { fields.add("min_tokens", .integer(Int(minTokens))) }
        try fields.add("stop", stop) { .string($0) }
        try fields.add("stop_token_ids", stopTokenIds) { .integer(Int($0)) }
        if hasIgnoreEos { fields.add("ignore_eos", .bool(ignoreEos)) }
        if hasIncludeStopStrInOutput { fields.add("include_stop_str_in_output", .bool(includeStopStrInOutput)) }
        if hasSkipSpecialTokens { fields.add("skip_special_tokens", .bool(skipSpecialTokens)) }
        if hasN { fields.add("n", .integer(Int(n))) }
        if !logitBias.isEmpty {
            fields.add("logit_bias", .object(logitBias.map { (key: "\($0.key)", value: .double($0.value)) }))
        }
        if hasPromptLogprobs { fields.add("prompt_logprobs", .integer(Int(promptLogprobs))) }
        try fields.add("bad_words", badWords) { .string($0) }
        try fields.add("allowed_token_ids", allowedTokenIds) { .integer(Int($0)) }
        if hasTruncatePromptTokens { fields.add("truncate_prompt_tokens", .integer(Int(truncatePromptTokens))) }
        if hasPriority { fields.add("priority", .integer(Int(priority))) }
        if hasCacheSalt { fields.add("cache_salt", .string(cacheSalt)) }
    }
}

extension RPCStructuredOutput {
    /// Adds what the output must match, in vLLM's spelling.
    func add(to fields: inout RequestFields) throws(APIError) {
        var constraint = RequestFields()
        switch self.constraint {
        case nil: return
        case .jsonSchema(let text)?:
            try constraint.add("json", json: text, field: "structured_output.json_schema")
        case .jsonObject(let isObject)?: constraint.add("json_object", .bool(isObject))
        case .regex(let expression)?: constraint.add("regex", .string(expression))
        case .choice(let choice)?: try constraint.add("choice", choice.values) { .string($0) }
        case .grammar(let grammar)?: constraint.add("grammar", .string(grammar))
        }
        fields.add("structured_outputs", constraint.object)
    }
}

extension RPCGenerateRequest {
    /// The request as the body of `/generate`.
    func body(stream: Bool) throws(APIError) -> JSONBody {
        var fields = RequestFields()
        fields.add(model: model)
        switch prompt {
        case nil:
            throw .invalid("prompt", "`text` or `tokens` is required.", code: "missing_required_parameter")
        case .text(let text)?: fields.add("prompt", .string(text))
        case .tokens(let tokens)?:
            // Not left out where it is empty, so that the check of it says so.
            if tokens.ids.isEmpty { fields.add("prompt", .array([])) }
            try fields.add("prompt", tokens.ids) { .integer(Int($0)) }
        }
        try sampling.add(to: &fields)
        if sampling.hasLogprobs { fields.add("logprobs", .integer(Int(sampling.logprobs))) }
        try structuredOutput.add(to: &fields)
        fields.add("stream", .bool(stream))
        return fields.body
    }

    /// About how much there is to decode.
    var size: Int {
        switch prompt {
        case .text(let text)?: text.utf8.count
        case .tokens(let tokens)?: tokens.ids.count
        case nil: 0
        }
    }
}

extension RPCChatRequest {
    /// The request as the body of `/v1/chat/completions`.
    func body(stream: Bool) throws(APIError) -> JSONBody {
        var fields = RequestFields()
        fields.add(model: model)
        try fields.add(messages: messages, tools: tools)
        try sampling.add(to: &fields)
        if sampling.hasLogprobs {
            fields.add("logprobs", .bool(true))
            fields.add("top_logprobs", .integer(Int(sampling.logprobs)))
        }
        try structuredOutput.add(to: &fields)
        switch toolChoice.choice {
        case nil: break
        case .mode(.none)?: fields.add("tool_choice", .string("none"))
        case .mode(.required)?: fields.add("tool_choice", .string("required"))
        case .mode(.auto)?: fields.add("tool_choice", .string("auto"))
        case .mode(.UNRECOGNIZED(let number))?:
            throw .invalid("tool_choice.mode", "`tool_choice.mode` must be a mode, got \(number).")
        case .function(let name)?:
            fields.add(
                "tool_choice",
                .object([
                    (key: "type", value: .string("function")),
                    (key: "function", value: .object([(key: "name", value: .string(name))])),
                ]))
        }
        if hasParallelToolCalls { fields.add("parallel_tool_calls", .bool(parallelToolCalls)) }
        if hasReasoningEffort { fields.add("reasoning_effort", .string(reasoningEffort)) }
        if hasChatTemplateKwargs {
            try fields.add("chat_template_kwargs", json: chatTemplateKwargs, field: "chat_template_kwargs")
        }
        if hasAddGenerationPrompt { fields.add("add_generation_prompt", .bool(addGenerationPrompt)) }
        if hasContinueFinalMessage { fields.add("continue_final_message", .bool(continueFinalMessage)) }
        fields.add("stream", .bool(stream))
        return fields.body
    }

    /// About how much there is to decode.
    var size: Int { messages.reduce(0) { $0 + $1.content.utf8.count } }
}

extension RPCEmbedRequest {
    /// The request as the body of `/v1/embeddings`.
    var body: JSONBody {
        get throws(APIError) {
            var fields = RequestFields()
            fields.add(model: model)
            var values: [JSONValue] = []
            for (index, input) in inputs.enumerated() {
                switch input.input {
                case nil:
                    throw .invalid(
                        "inputs[\(index)]", "`inputs[\(index)]` must be `text` or `tokens`.",
                        code: "missing_required_parameter")
                case .text(let text)?: values.append(.string(text))
                case .tokens(let tokens)?: values.append(.array(tokens.ids.map { .integer(Int($0)) }))
                }
            }
            fields.add("input", .array(values))
            if hasDimensions { fields.add("dimensions", .integer(Int(dimensions))) }
            return fields.body
        }
    }

    /// About how much there is to decode.
    var size: Int {
        inputs.reduce(0) { size, input in
            switch input.input {
            case .text(let text)?: size + text.utf8.count
            case .tokens(let tokens)?: size + tokens.ids.count
            case nil: size
            }
        }
    }
}

extension RPCTokenizeRequest {
    /// The request as the body of `/tokenize`.
    var body: JSONBody {
        get throws(APIError) {
            var fields = RequestFields()
            fields.add(model: model)
            switch input {
            case nil: break
            case .text(let text)?: fields.add("prompt", .string(text))
            case .conversation(let conversation)?:
                try fields.add(messages: conversation.messages, tools: conversation.tools)
                if conversation.hasChatTemplateKwargs {
                    try fields.add(
                        "chat_template_kwargs", json: conversation.chatTemplateKwargs,
                        field: "conversation.chat_template_kwargs")
                }
                if conversation.hasAddGenerationPrompt {
                    fields.add("add_generation_prompt", .bool(conversation.addGenerationPrompt))
                }
                if conversation.hasContinueFinalMessage {
                    fields.add("continue_final_message", .bool(conversation.continueFinalMessage))
                }
            }
            if hasAddSpecialTokens { fields.add("add_special_tokens", .bool(addSpecialTokens)) }
            return fields.body
        }
    }

    /// About how much there is to decode.
    var size: Int {
        switch input {
        case .text(let text)?: text.utf8.count
        case .conversation(let conversation)?: conversation.messages.reduce(0) { $0 + $1.content.utf8.count }
        case nil: 0
        }
    }
}

extension RequestFields {
    /// Adds messages and tools in OpenAI's form.
    fileprivate mutating func add(messages: [RPCChatMessage], tools: [RPCTool]) throws(APIError) {
        try add("messages", messages, \.value)
        var values: [JSONValue] = []
        for (index, tool) in tools.enumerated() {
            var function = RequestFields()
            function.add("name", .string(tool.name))
            if tool.hasDescription_p { function.add("description", .string(tool.description_p)) }
            if tool.hasParameters {
                try function.add("parameters", json: tool.parameters, field: "tools[\(index)].parameters")
            }
            if tool.hasStrict { function.add("strict", .bool(tool.strict)) }
            values.append(
                .object([(key: "type", value: .string("function")), (key: "function", value: function.object)]))
        }
        try add("tools", values) { $0 }
    }
}

extension RPCChatMessage {
    /// The message in OpenAI's form.
    fileprivate var value: JSONValue {
        var fields = RequestFields()
        fields.add("role", .string(role))
        if hasContent { fields.add("content", .string(content)) }
        if hasName { fields.add("name", .string(name)) }
        if !toolCalls.isEmpty { fields.add("tool_calls", .array(toolCalls.map(\.value))) }
        if hasToolCallID { fields.add("tool_call_id", .string(toolCallID)) }
        if hasReasoningContent { fields.add("reasoning_content", .string(reasoningContent)) }
        return fields.object
    }
}

extension RPCToolCall {
    /// The call in OpenAI's form.
    fileprivate var value: JSONValue {
        var fields = RequestFields()
        if !id.isEmpty { fields.add("id", .string(id)) }
        fields.add("type", .string("function"))
        fields.add(
            "function",
            .object([(key: "name", value: .string(name)), (key: "arguments", value: .string(arguments))]))
        return fields.object
    }
}
