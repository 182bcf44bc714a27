internal import MartinetGrammars
internal import MartinetJSON
internal import MartinetTemplates

/// How calls are written in a format: for examples in a prompt, for past calls, and as a grammar.
struct CallNotation {
    private let format: ToolCallFormat

    init(_ format: ToolCallFormat) {
        self.format = format
    }

    private struct Parts {
        /// Around the whole group.
        var open = ""
        var close = ""
        /// Around each call.
        var begin = "{\"name\": "
        var middle = ", \"arguments\": "
        var end = "}"
        var separator: String?
    }

    private var parts: Parts {
        switch format {
        case .hermes:
            Parts(begin: "<tool_call>\n{\"name\": ", end: "}\n</tool_call>", separator: "\n")
        // Llama's templates take one call a turn.
        case .llama3JSON: Parts(middle: ", \"parameters\": ")
        case .mistral: Parts(open: "[TOOL_CALLS][", close: "]", separator: ", ")
        case .pythonic: Parts(open: "[", close: "]", begin: "", separator: ", ")
        case .json: Parts()
        }
    }

    /// The text with which a group begins, where it is one that answers do not hold.
    var marker: String? {
        switch format {
        case .hermes: "<tool_call>"
        case .mistral: "[TOOL_CALLS]"
        case .llama3JSON, .pythonic, .json: nil
        }
    }

    /// Calls as the model would write them.
    func text(_ calls: [(name: String, arguments: JSONValue)]) -> String {
        let parts = parts
        let texts = calls.map { call in
            guard format == .pythonic else {
                return parts.begin + JSONValue.string(call.name).text + parts.middle + call.arguments.text + parts.end
            }
            guard case .object(let members) = call.arguments else { return "\(call.name)()" }
            let arguments = members.map { "\($0.key)=\($0.value.text)" }
            return "\(call.name)(\(arguments.joined(separator: ", ")))"
        }
        return parts.open + texts.joined(separator: parts.separator ?? "\n") + parts.close
    }

    /// What a prompt says about functions where the template says nothing.
    func explanation(of tools: [ToolDefinition]) -> String {
        let signatures = tools.map { JSONValue($0.templateValue).text }.joined(separator: "\n")
        let example = text([(name: "function_name", arguments: .object([(key: "argument", value: .string("value"))]))])
        return """
            You can call functions. These are available, one signature in JSON on each line:
            <tools>
            \(signatures)
            </tools>
            To call one, write its name and its arguments exactly in this form:
            \(example)
            Results come back between <tool_response> and </tool_response>. Where no function helps, answer as usual.
            """
    }

    /// One call of one of these functions, or several.
    ///
    /// - Parameters:
    ///   - arguments: what each function's arguments must match.
    ///   - isParallel: whether there may be several calls.
    ///   - isOpened: whether the marker stands already.
    func grammar(
        _ functions: [(tool: ToolDefinition, arguments: GrammarSource)], isParallel: Bool, isOpened: Bool = false
    ) -> GrammarSource {
        let parts = parts
        func call(_ begin: String) -> GrammarSource {
            .choice(
                functions.map { function in
                    if format == .pythonic { return .sequence([.literal(begin), Self.pythonic(function.tool)]) }
                    return .sequence([
                        .literal(begin + JSONValue.string(function.tool.name).text + parts.middle),
                        function.arguments, .literal(parts.end),
                    ])
                })
        }
        let begin = parts.open + parts.begin
        var group = [call(isOpened ? String(begin.dropFirst(marker?.count ?? 0)) : begin)]
        if isParallel, let separator = parts.separator {
            group.append(.repetition(call(separator + parts.begin), minimum: 0, maximum: nil))
        }
        if !parts.close.isEmpty { group.append(.literal(parts.close)) }
        return .sequence(group)
    }

    /// A call in Python's form: required arguments first, then any of the others, in the schema's order.
    private static func pythonic(_ tool: ToolDefinition) -> GrammarSource {
        guard case .object(let properties)? = tool.parameters?["properties"] else {
            return .literal("\(tool.name)()")
        }
        var required: Set<String> = []
        if case .array(let names)? = tool.parameters?["required"] { required = Set(names.compactMap(\.string)) }
        func argument(_ property: (key: String, value: JSONValue)) -> GrammarSource {
            var schema = property.value
            // References lead into the whole schema.
            if let definitions = tool.parameters?["$defs"], case .object(let members) = schema, schema["$defs"] == nil {
                schema = .object(members + [(key: "$defs", value: definitions)])
            }
            return .sequence([.literal("\(property.key)="), .jsonSchema(schema.text, form: .canonical)])
        }
        var parts: [GrammarSource] = []
        for property in properties where required.contains(property.key) {
            if !parts.isEmpty { parts.append(.literal(", ")) }
            parts.append(argument(property))
        }
        let others = properties.filter { !required.contains($0.key) }
        func optional(_ others: ArraySlice<(key: String, value: JSONValue)>) -> [GrammarSource] {
            others.map { .repetition(.sequence([.literal(", "), argument($0)]), minimum: 0, maximum: 1) }
        }
        if !parts.isEmpty {
            parts += optional(others[...])
        } else if !others.isEmpty {
            // The first that is there has no comma.
            let choices = others.indices.prefix(32).map { index in
                GrammarSource.sequence([argument(others[index])] + optional(others[(index + 1)...]))
            }
            parts = [.choice([.literal("")] + choices)]
        }
        return .sequence([.literal("\(tool.name)(")] + parts + [.literal(")")])
    }
}
