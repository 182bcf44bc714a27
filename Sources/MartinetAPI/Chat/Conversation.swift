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

    /// A conversation of messages in the form that chat templates see.
    public init(messages: [TemplateValue]) {
        self.messages = messages
    }

    init(_ fields: inout FieldReader) throws(APIError) {
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
        try takeTools(&fields)
    }

    private mutating func takeTools(_ fields: inout FieldReader) throws(APIError) {
        for (index, value) in (try fields.array("tools", maximum: 1024) ?? []).enumerated() {
            let path = "tools[\(index)]"
            var tool = try FieldReader(value, path: path)
            guard try tool.string("type", maximum: 64) == "function" else {
                throw .invalid("\(path).type", "`\(path).type` must be `function`.")
            }
            guard var function = try tool.object("function"), let name = try function.string("name", maximum: 256),
                !name.isEmpty
            else {
                throw .invalid(
                    "\(path).function.name", "`\(path).function.name` is required.", code: "missing_required_parameter")
            }
            tools.append(
                ToolDefinition(
                    name: name, description: try function.string("description"),
                    parameters: function.take("parameters"), strict: try function.bool("strict") ?? false))
        }
        switch fields.take("tool_choice") {
        case nil, .string("auto")?: break
        case .string("none")?: toolChoice = .none
        case .string("required")?, .object?:
            throw .unsupported("tool_choice", "`tool_choice` must be `auto` or `none`: calls cannot be forced yet.")
        case let value?: throw fields.wrong("tool_choice", "`auto` or `none`", got: value)
        }
        allowsParallelCalls = try fields.bool("parallel_tool_calls") ?? true
    }

    /// The tools as the template sees them; none where the model must not call any.
    private var shownTools: [TemplateValue]? {
        tools.isEmpty || toolChoice == .none ? nil : tools.map(\.templateValue)
    }

    /// The prompt's tokens.
    func encode(_ service: any InferenceService) throws(APIError) -> [Int32] {
        do {
            return try service.chatPrompt(
                messages: messages, tools: shownTools, addGenerationPrompt: addGenerationPrompt,
                continueFinalMessage: continueFinalMessage, arguments: arguments)
        } catch {
            throw APIError(error)
        }
    }
}
