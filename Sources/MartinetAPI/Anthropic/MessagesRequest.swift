internal import MartinetJSON
internal import MartinetEngine
internal import MartinetGrammars
internal import MartinetTemplates

/// `POST /v1/messages`, in Anthropic's shape.
public struct MessagesRequest: Sendable {
    /// What the prompt is made of, and how to go on with it.
    public var generation: ChatGeneration
    /// Whether the answer is a stream of events.
    public var stream: Bool
    /// Whether blocks of thinking say what was thought.
    var showsThinking = true

    /// Decodes a request. `max_tokens` is a bound: it bends where the context has less room.
    public init(_ body: JSONBody, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        guard let maxTokens = try reader.integer("max_tokens", in: 1...Int(Int32.max)) else {
            throw .invalid(
                "max_tokens", "`max_tokens` is required: the most tokens to generate.",
                code: "missing_required_parameter")
        }
        let shape = try Shape(&reader, model: model)
        showsThinking = shape.showsThinking
        stream = try reader.bool("stream") ?? false
        var base = SamplingFields.Base.openAI(model, maxTokens: maxTokens)
        base.temperature = try reader.number("temperature", in: 0...1) ?? base.temperature
        base.maxTokensFields = []
        let stops = try Self.stopSequences(&reader)
        // The names of OpenAI's tiers mean nothing here.
        if let tier = try reader.string("service_tier", maximum: 64), !["auto", "standard_only"].contains(tier) {
            throw .invalid("service_tier", "`service_tier` must be `auto` or `standard_only`, got `\(tier)`.")
        }
        var fields = try SamplingFields(&reader, model: model, base: base)
        fields.stop += stops
        fields.constraint = try OutputConstraint.one(shape.constraint, StructuredOutput.take(&reader))
        guard fields.sampleCount == 1 else {
            throw .unsupported("n", "`n` must be 1: a message has one answer.")
        }
        if fields.sampling.promptLogprobs != nil {
            throw .unsupported("prompt_logprobs", "`prompt_logprobs` has no place in a message.")
        }
        try Self.takeRest(&reader)
        try reader.end()
        generation = ChatGeneration(shape.conversation, fields)
    }

    /// The answer to `POST /v1/messages/count_tokens`: `{"input_tokens"}`.
    public static func count(
        _ body: JSONBody, model: ServedModel, service: any InferenceService
    ) throws(APIError) -> [UInt8] {
        let tokens = try shape(body, model: model).conversation.encode(service, model: model)
        var writer = JSONWriter()
        writer.object { $0.field("input_tokens", tokens.count) }
        return writer.bytes
    }

    /// Decodes what ``count(_:model:service:)`` counts.
    static func check(_ body: JSONBody, model: ServedModel) throws(APIError) { _ = try shape(body, model: model) }

    private static func shape(_ body: JSONBody, model: ServedModel) throws(APIError) -> Shape {
        var reader = try body.reader()
        try model.check(&reader)
        let shape = try Shape(&reader, model: model)
        try takeRest(&reader)
        try reader.end()
        return shape
    }

    /// The fields that shape the prompt.
    private struct Shape {
        var conversation: Conversation
        var constraint: OutputConstraint?
        var showsThinking = true

        init(_ fields: inout FieldReader, model: ServedModel) throws(APIError) {
            let (messages, continuesLast) = try AnthropicMessages.take(&fields)
            conversation = Conversation(messages: messages)
            conversation.parametersField = "input_schema"
            conversation.addGenerationPrompt = !continuesLast
            conversation.continueFinalMessage = continuesLast
            try AnthropicTools.take(&fields, into: &conversation)
            try takeThinking(&fields)
            try takeOutput(&fields, model: model)
            for name in ["container", "mcp_servers"] where fields.has(name) {
                throw .unsupported(name, "`\(name)` is not supported: this server runs no tools itself.")
            }
        }

        /// Whether the model thinks first, where its template asks for that. Without the field it does not.
        private mutating func takeThinking(_ fields: inout FieldReader) throws(APIError) {
            guard var thinking = try fields.object("thinking") else {
                conversation.arguments.append(("enable_thinking", .bool(false)))
                return
            }
            let type = try thinking.string("type", maximum: 64)
            switch type {
            case "enabled"?:
                guard try thinking.integer("budget_tokens", in: 1...Int(Int32.max)) != nil else {
                    throw .invalid(
                        "thinking.budget_tokens", "`thinking.budget_tokens` is required with `type` `enabled`.",
                        code: "missing_required_parameter")
                }
                conversation.arguments.append(("enable_thinking", .bool(true)))
            case "disabled"?: conversation.arguments.append(("enable_thinking", .bool(false)))
            // As the template has it by itself.
            case "adaptive"?: break
            default:
                throw .invalid(
                    "thinking.type",
                    "`thinking.type` must be `enabled`, `disabled` or `adaptive`, got `\(type ?? "null")`.")
            }
            switch try thinking.string("display", maximum: 64) {
            case nil, "summarized"?: break
            case "omitted"?: showsThinking = false
            case let display?:
                throw .invalid(
                    "thinking.display", "`thinking.display` must be `summarized` or `omitted`, got `\(display)`.")
            }
            try thinking.end()
        }

        /// `output_config`, and `output_format` as it was called before.
        private mutating func takeOutput(_ fields: inout FieldReader, model: ServedModel) throws(APIError) {
            if var output = try fields.object("output_config") {
                if let effort = try output.string("effort", maximum: 64) {
                    guard
                        let known = ["low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"][
                            effort]
                    else {
                        throw .invalid(
                            "output_config.effort",
                            "`output_config.effort` must be `low`, `medium`, `high`, `xhigh` or `max`, got `\(effort)`."
                        )
                    }
                    // A hint: a template that does not know it is none the worse.
                    if model.templateVariables.contains("reasoning_effort") {
                        conversation.arguments.append(("reasoning_effort", .string(known)))
                    }
                }
                try takeFormat(&output, "format")
                try output.end()
            }
            try takeFormat(&fields, "output_format")
        }

        private mutating func takeFormat(_ fields: inout FieldReader, _ field: String) throws(APIError) {
            guard var format = try fields.object(field) else { return }
            guard try format.string("type", maximum: 64) == "json_schema" else {
                throw .invalid(format.name("type"), "`\(format.name("type"))` must be `json_schema`.")
            }
            guard let schema = format.take("schema") else {
                throw .invalid(
                    format.name("schema"), "`\(format.name("schema"))` is required: a JSON Schema.",
                    code: "missing_required_parameter")
            }
            guard case .object = schema else { throw format.wrong("schema", "an object", got: schema) }
            var writer = JSONWriter()
            writer.value(schema)
            constraint = OutputConstraint(
                .jsonSchema(String(decoding: writer.bytes, as: UTF8.self), form: .canonical),
                parameter: format.name("schema"))
        }
    }

    private static func stopSequences(_ fields: inout FieldReader) throws(APIError) -> [String] {
        var stops: [String] = []
        let values = try fields.array("stop_sequences", maximum: SamplingFields.maximumStops) ?? []
        for (index, value) in values.enumerated() {
            guard case .string(let text) = value, (1...SamplingFields.maximumStopLength).contains(text.utf8.count)
            else {
                throw fields.wrong(
                    "stop_sequences[\(index)]", "a string of 1 to \(SamplingFields.maximumStopLength) bytes", got: value
                )
            }
            stops.append(text)
        }
        return stops
    }

    /// Fields that change nothing here, and those that promise what this server cannot keep.
    private static func takeRest(_ fields: inout FieldReader) throws(APIError) {
        if var metadata = try fields.object("metadata") { _ = try metadata.string("user_id", maximum: 4096) }
        // Hints to Anthropic's own servers.
        for name in ["cache_control", "context_management", "diagnostics", "speed", "user_profile_id"] {
            _ = fields.take(name)
        }
        if fields.has("inference_geo") {
            throw .unsupported("inference_geo", "`inference_geo` is not supported: this server runs where it runs.")
        }
    }
}
