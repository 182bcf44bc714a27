public import MartinetTemplates
internal import MartinetJSON

/// The fields that make a conversation into a prompt: chat completions and `/tokenize` share them.
public struct Conversation: Sendable {
    /// The messages, in the form that chat templates see.
    public var messages: [TemplateValue]
    /// The functions that the model may call.
    public var tools: [ToolDefinition] = []
    /// Whether it may or must call them.
    public var toolChoice = ToolChoice.auto
    /// Whether one turn may hold several calls.
    public var allowsParallelCalls = true
    /// Ends the prompt with the opening of the assistant's turn.
    public var addGenerationPrompt = true
    /// Leaves the last message open, so that the model goes on with it.
    public var continueFinalMessage = false
    /// Further variables of the template, such as `enable_thinking`.
    public var arguments: [(String, TemplateValue)] = []
    /// Where a function of the request's `tools` has its schema, as errors name it: `tools[2].function.parameters`.
    public var parametersField = "function.parameters"

    /// A conversation of messages in the form that chat templates see.
    public init(messages: [TemplateValue]) {
        self.messages = messages
    }

    init(_ fields: inout FieldReader, model: ServedModel) throws(APIError) {
        messages = try ChatMessage.list(&fields)
        continueFinalMessage = try fields.bool("continue_final_message") ?? false
        let addsPrompt = try fields.bool("add_generation_prompt")
        if continueFinalMessage, addsPrompt == true {
            throw .invalid(
                "continue_final_message",
                "`continue_final_message` and `add_generation_prompt` cannot both be true.")
        }
        addGenerationPrompt = addsPrompt ?? !continueFinalMessage
        if fields.has("chat_template") {
            throw .unsupported("chat_template", "`chat_template` is not accepted: the model's own template is used.")
        }
        if try fields.bool("add_special_tokens") == true {
            throw .unsupported(
                "add_special_tokens", "`add_special_tokens` is not accepted: the template writes them all.")
        }
        if let documents = try fields.array("documents", maximum: 1024) {
            arguments.append(("documents", .array(documents.map(\.templateValue))))
        }
        if let value = fields.take("chat_template_kwargs") {
            guard case .object(let members) = value else {
                throw fields.wrong("chat_template_kwargs", "an object", got: value)
            }
            for (key, value) in members {
                guard !["messages", "tools", "add_generation_prompt", "bos_token", "eos_token"].contains(key) else {
                    throw .invalid("chat_template_kwargs", "`chat_template_kwargs` must not set `\(key)`.")
                }
                arguments.append((key, value.templateValue))
            }
        }
        if let effort = try fields.string("reasoning_effort", maximum: 64) {
            try setReasoningEffort(effort, field: "reasoning_effort", model: model)
        }
        if let verbosity = try fields.string("verbosity", maximum: 64) {
            guard ["low", "medium", "high"].contains(verbosity) else {
                throw .invalid("verbosity", "`verbosity` must be low, medium or high, got `\(verbosity)`.")
            }
            if model.templateVariables.contains("verbosity") {
                arguments.append(("verbosity", .string(verbosity)))
            } else if verbosity != "medium" {
                throw .unsupported("verbosity", "`verbosity` is not supported by this model's chat template.")
            }
        }
        tools = try ToolFields.tools(&fields)
        try ToolFields.takeChoice(&fields, into: &self)
        allowsParallelCalls = try fields.bool("parallel_tool_calls") ?? true
    }

    /// How hard the model is to think, in OpenAI's words, for templates that know it: as `reasoning_effort`, or as
    /// `enable_thinking`.
    ///
    /// - Throws: ``APIError`` 400 that names the field where the template knows neither.
    public mutating func setReasoningEffort(_ effort: String, field: String, model: ServedModel) throws(APIError) {
        guard ["none", "minimal", "low", "medium", "high", "xhigh"].contains(effort) else {
            throw .invalid(
                field, "`\(field)` must be none, minimal, low, medium, high or xhigh, got `\(effort.prefix(64))`.")
        }
        func isOpen(_ variable: String) -> Bool {
            model.templateVariables.contains(variable) && !arguments.contains { $0.0 == variable }
        }
        let thinks = effort != "none" && effort != "minimal"
        let knows = ["reasoning_effort", "enable_thinking"].filter(model.templateVariables.contains)
        guard !knows.isEmpty || effort == "none" else {
            throw .unsupported(field, "`\(field)` is not supported: this model's chat template does not know it.")
        }
        if isOpen("reasoning_effort") { arguments.append(("reasoning_effort", .string(effort))) }
        if isOpen("enable_thinking") { arguments.append(("enable_thinking", .bool(thinks))) }
    }

    /// The functions that the model sees; none where it must not call any.
    var shownTools: [ToolDefinition] { toolChoice == .none ? [] : tools }

    /// The prompt's tokens.
    func encode(_ service: any InferenceService, model: ServedModel) throws(APIError) -> [Int32] {
        let tools = shownTools
        if model.templateVariables.contains("tools") {
            return try encode(
                service, model.turnFormat.tools == .mistral ? messages.map(Self.withShortIDs) : messages,
                tools: tools.isEmpty ? nil : tools.map(\.templateValue))
        }
        let notation = CallNotation(model.turnFormat.tools ?? .hermes)
        let plain = notation.withoutCalls(messages)
        guard !tools.isEmpty else { return try encode(service, plain, tools: nil) }
        let explanation = notation.explanation(of: tools)
        do {
            return try encode(service, Self.explaining(explanation, in: plain, to: "system"), tools: nil)
        } catch {
            // Some templates take no system message.
            guard Self.role(messages.first) != "system" else { throw error }
            return try encode(service, Self.explaining(explanation, in: plain, to: "user"), tools: nil)
        }
    }

    private func encode(
        _ service: any InferenceService, _ messages: [TemplateValue], tools: [TemplateValue]?
    ) throws(APIError) -> [Int32] {
        do {
            return try service.chatPrompt(
                messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt,
                continueFinalMessage: continueFinalMessage, arguments: arguments)
        } catch {
            throw APIError(error)
        }
    }
}
