internal import MartinetJSON

/// Reads `tools`, `tool_choice` and `parallel_tool_calls` of `/v1/responses`.
struct ResponseTools {
    /// The functions that the model sees.
    private(set) var definitions: [ToolDefinition] = []
    private(set) var choice = ToolChoice.auto
    let allowsParallelCalls: Bool
    /// Both as the client gave them, for the answer.
    private(set) var given: [JSONValue] = []
    private(set) var givenChoice = JSONValue.string("auto")

    init(_ fields: inout FieldReader) throws(APIError) {
        allowsParallelCalls = try fields.bool("parallel_tool_calls") ?? true
        given = try fields.array("tools", maximum: 1024) ?? []
        for (index, value) in given.enumerated() {
            let path = "tools[\(index)]"
            let tool = try Self.definition(try fields.inner(value, path: path), path: path)
            guard definitions.allSatisfy({ $0.name != tool.name }) else {
                throw .invalid("tools[\(index)].name", "`tools` must not hold `\(tool.name)` twice.")
            }
            definitions.append(tool)
        }
        guard let value = fields.take("tool_choice") else { return }
        givenChoice = value
        switch value {
        case .string("auto"): break
        case .string("none"): choice = .none
        case .string("required"): choice = .required
        case .object: try takeChoice(try fields.inner(value, path: "tool_choice"))
        default: throw fields.wrong("tool_choice", "`none`, `auto`, `required` or an object", got: value)
        }
        if choice == .required, definitions.isEmpty {
            throw .invalid("tool_choice", "`tool_choice` must be `auto` or `none` where there are no `tools`.")
        }
    }

    private mutating func takeChoice(_ choice: FieldReader) throws(APIError) {
        var fields = choice
        switch try fields.string("type", maximum: 64) {
        case "function"?: self.choice = .named(try known(&fields))
        case "allowed_tools"?:
            let mode = try fields.string("mode", maximum: 64) ?? "auto"
            guard ["auto", "required"].contains(mode) else {
                throw .invalid("tool_choice.mode", "`tool_choice.mode` must be `auto` or `required`, got `\(mode)`.")
            }
            var names: Set<String> = []
            for (index, tool) in (try fields.array("tools", maximum: 1024) ?? []).enumerated() {
                var tool = try fields.inner(tool, path: "tool_choice.tools[\(index)]")
                names.insert(try known(&tool))
            }
            definitions.removeAll { !names.contains($0.name) }
            if mode == "required" { self.choice = .required }
        case let type:
            throw .unsupported(
                "tool_choice.type",
                "`tool_choice.type` must be `function` or `allowed_tools`, got `\(type ?? "null")`.")
        }
    }

    private func known(_ fields: inout FieldReader) throws(APIError) -> String {
        let field = fields.name("name")
        guard let name = try fields.string("name", maximum: 256) else {
            throw .invalid(field, "`\(field)` is required.", code: "missing_required_parameter")
        }
        guard definitions.contains(where: { $0.name == name }) else {
            throw .invalid(field, "`\(field)` must be one of `tools`, got `\(name)`.")
        }
        return name
    }

    private static func definition(_ tool: FieldReader, path: String) throws(APIError) -> ToolDefinition {
        var fields = tool
        let type = try fields.string("type", maximum: 64)
        guard type == "function" else {
            throw .unsupported(
                "\(path).type",
                "`\(path).type` must be `function`, got `\(type ?? "null")`: this server runs no tools itself.")
        }
        guard let name = try fields.string("name", maximum: 256), !name.isEmpty else {
            throw .invalid("\(path).name", "`\(path).name` is required.", code: "missing_required_parameter")
        }
        let parameters = fields.take("parameters")
        switch parameters {
        case nil, .object?: break
        case let value?: throw fields.wrong("parameters", "an object", got: value)
        }
        return ToolDefinition(
            name: name, description: try fields.string("description"), parameters: parameters,
            strict: try fields.bool("strict") ?? false)
    }
}
