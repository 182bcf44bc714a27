internal import MartinetJSON

/// Reads `tools` and `tool_choice` in the shape of OpenAI's chat completions.
enum ToolFields {
    static func tools(_ fields: inout FieldReader) throws(APIError) -> [ToolDefinition] {
        var tools: [ToolDefinition] = []
        for (index, value) in (try fields.array("tools", maximum: 1024) ?? []).enumerated() {
            let path = "tools[\(index)]"
            var tool = try fields.inner(value, path: path)
            guard try tool.string("type", maximum: 64) == "function" else {
                throw .invalid("\(path).type", "`\(path).type` must be `function`.")
            }
            guard var function = try tool.object("function"), let name = try function.string("name", maximum: 256),
                !name.isEmpty
            else {
                throw .invalid(
                    "\(path).function.name", "`\(path).function.name` is required.", code: "missing_required_parameter")
            }
            let parameters = function.take("parameters")
            switch parameters {
            case nil, .object?: break
            case let other?: throw function.wrong("parameters", "a JSON Schema, an object", got: other)
            }
            tools.append(
                ToolDefinition(
                    name: name, description: try function.string("description"), parameters: parameters,
                    strict: try function.bool("strict") ?? false))
            try function.end()
            try tool.end()
        }
        return tools
    }

    /// Takes `tool_choice`: a mode, a function, or a mode with the functions that are allowed.
    static func takeChoice(_ fields: inout FieldReader, into conversation: inout Conversation) throws(APIError) {
        switch fields.take("tool_choice") {
        case nil: return
        case .string(let mode)?: conversation.toolChoice = try choice(mode, "tool_choice")
        case .object(let members)?:
            var choice = try fields.inner(.object(members), path: "tool_choice")
            switch try choice.string("type", maximum: 64) {
            case "function"?: conversation.toolChoice = .named(try name(&choice, "tool_choice"))
            case "allowed_tools"?: try takeAllowed(&choice, into: &conversation)
            default:
                throw .invalid("tool_choice.type", "`tool_choice.type` must be `function` or `allowed_tools`.")
            }
            try choice.end()
        case let value?:
            throw fields.wrong(
                "tool_choice", "`auto`, `none`, `required` or an object that names a function", got: value)
        }
        switch conversation.toolChoice {
        case .auto, .none: break
        case .required:
            guard conversation.tools.isEmpty else { return }
            throw .invalid("tool_choice", "`tool_choice` needs `tools` to choose from.")
        case .named(let name):
            guard !conversation.tools.contains(where: { $0.name == name }) else { return }
            throw .invalid(
                "tool_choice.function.name", "`tool_choice` names the function `\(name)`, which `tools` does not have.")
        }
    }

    private static func choice(_ mode: String, _ field: String) throws(APIError) -> ToolChoice {
        switch mode {
        case "auto": return .auto
        case "none": return .none
        case "required": return .required
        default:
            throw .invalid(field, "`\(field)` must be auto, none or required, got `\(mode.prefix(64))`.")
        }
    }

    private static func name(_ fields: inout FieldReader, _ path: String) throws(APIError) -> String {
        guard var function = try fields.object("function"), let name = try function.string("name", maximum: 256) else {
            throw .invalid(
                "\(path).function.name", "`\(path).function.name` is required.", code: "missing_required_parameter")
        }
        try function.end()
        return name
    }

    /// `{"type":"allowed_tools","allowed_tools":{"mode","tools":[…]}}`: the others are as if they were not there.
    private static func takeAllowed(
        _ fields: inout FieldReader, into conversation: inout Conversation
    ) throws(APIError) {
        let path = "tool_choice.allowed_tools"
        guard var allowed = try fields.object("allowed_tools") else {
            throw .invalid(path, "`\(path)` is required.", code: "missing_required_parameter")
        }
        let mode = try choice(try allowed.string("mode", maximum: 64) ?? "auto", "\(path).mode")
        var names: Set<String> = []
        for (index, value) in (try allowed.array("tools", maximum: 1024) ?? []).enumerated() {
            var tool = try allowed.inner(value, path: "\(path).tools[\(index)]")
            _ = try tool.string("type", maximum: 64)
            let name = try name(&tool, "\(path).tools[\(index)]")
            guard conversation.tools.contains(where: { $0.name == name }) else {
                throw .invalid(
                    "\(path).tools[\(index)].function.name", "`tools` does not have the function `\(name)`.")
            }
            names.insert(name)
            try tool.end()
        }
        try allowed.end()
        conversation.tools.removeAll { !names.contains($0.name) }
        conversation.toolChoice = mode
    }
}
