internal import MartinetJSON

/// Reads `tools` and `tool_choice` of Anthropic's API.
enum AnthropicTools {
    /// Takes both into a conversation.
    static func take(_ fields: inout FieldReader, into conversation: inout Conversation) throws(APIError) {
        for (index, value) in (try fields.array("tools", maximum: 1024) ?? []).enumerated() {
            let path = "tools[\(index)]"
            let tool = try definition(try fields.inner(value, path: path), path: path)
            guard conversation.tools.allSatisfy({ $0.name != tool.name }) else {
                throw .invalid("tools[\(index)].name", "`tools` must not hold `\(tool.name)` twice.")
            }
            conversation.tools.append(tool)
        }
        guard var choice = try fields.object("tool_choice") else { return }
        let type = try choice.string("type", maximum: 64)
        switch type {
        case "auto"?: break
        case "none"?: conversation.toolChoice = .none
        case "any"?: conversation.toolChoice = .required
        case "tool"?:
            guard let name = try choice.string("name", maximum: 256) else {
                throw .invalid(
                    "tool_choice.name", "`tool_choice.name` is required with `type` `tool`.",
                    code: "missing_required_parameter")
            }
            guard conversation.tools.contains(where: { $0.name == name }) else {
                throw .invalid("tool_choice.name", "`tool_choice.name` must be one of `tools`, got `\(name)`.")
            }
            conversation.toolChoice = .named(name)
        default:
            throw .invalid(
                "tool_choice.type",
                "`tool_choice.type` must be `auto`, `any`, `tool` or `none`, got `\(type ?? "null")`.")
        }
        if conversation.toolChoice == .required, conversation.tools.isEmpty {
            throw .invalid("tool_choice", "`tool_choice` must be `auto` or `none` where there are no `tools`.")
        }
        if try choice.bool("disable_parallel_tool_use") == true { conversation.allowsParallelCalls = false }
    }

    private static func definition(_ tool: FieldReader, path: String) throws(APIError) -> ToolDefinition {
        var fields = tool
        let type = try fields.string("type", maximum: 64)
        guard type == nil || type == "custom" else {
            throw .unsupported(
                "\(path).type",
                "`\(path).type` `\(type ?? "")` is a tool that Anthropic defines; this server knows `custom` ones, "
                    + "which say their `input_schema`.")
        }
        guard let name = try fields.string("name", maximum: 256), !name.isEmpty else {
            throw .invalid("\(path).name", "`\(path).name` is required.", code: "missing_required_parameter")
        }
        guard let schema = fields.take("input_schema") else {
            throw .invalid(
                "\(path).input_schema", "`\(path).input_schema` is required: a JSON Schema.",
                code: "missing_required_parameter")
        }
        guard case .object = schema else { throw fields.wrong("input_schema", "an object", got: schema) }
        return ToolDefinition(
            name: name, description: try fields.string("description"), parameters: schema,
            strict: try fields.bool("strict") ?? false)
    }
}
