internal import MartinetJSON
internal import MartinetTemplates

/// Checks chat messages and gives them the form that chat templates see.
enum ChatMessage {
    /// Most messages in a conversation.
    static let maximumCount = 16_384
    private static let roles: Set<String> = ["system", "developer", "user", "assistant", "tool", "function"]

    /// Takes `messages`.
    static func list(_ fields: inout FieldReader) throws(APIError) -> [TemplateValue] {
        guard let values = try fields.array("messages", maximum: maximumCount) else {
            throw .invalid(
                "messages", "`messages` is required: an array of objects with `role` and `content`.",
                code: "missing_required_parameter")
        }
        guard !values.isEmpty else { throw .invalid("messages", "`messages` must hold at least one message.") }
        var messages: [TemplateValue] = []
        for (index, value) in values.enumerated() {
            messages.append(
                try message(try fields.inner(value, path: "messages[\(index)]"), path: "messages[\(index)]"))
        }
        return messages
    }

    private static func message(_ fields: FieldReader, path: String) throws(APIError) -> TemplateValue {
        var fields = fields
        guard var role = try fields.string("role", maximum: 64) else {
            throw .invalid("\(path).role", "`\(path).role` is required.", code: "missing_required_parameter")
        }
        guard roles.contains(role) else {
            throw .invalid(
                "\(path).role",
                "`\(path).role` must be one of \(roles.sorted().joined(separator: ", ")), got `\(role)`.")
        }
        // Templates know the older name.
        if role == "developer" { role = "system" }
        var members: [(key: String, value: TemplateValue)] = [(key: "role", value: .string(role))]
        let calls = try toolCalls(&fields, role: role)
        let isRefusal = fields.has("refusal") || fields.has("reasoning_content") || fields.has("reasoning")
        if let content = try content(&fields, path: path) {
            members.append((key: "content", value: .string(content)))
        } else if role == "assistant", calls != nil || isRefusal {
            members.append((key: "content", value: .string("")))
        } else {
            throw .invalid(
                "\(path).content", "`\(path).content` is required: a string or an array of text parts.",
                code: "missing_required_parameter")
        }
        if let calls { members.append((key: "tool_calls", value: .array(calls))) }
        for name in ["name", "tool_call_id"] {
            if let text = try fields.string(name) { members.append((key: name, value: .string(text))) }
        }
        let reasoning = (new: try fields.string("reasoning"), old: try fields.string("reasoning_content"))
        if let text = reasoning.old ?? reasoning.new {
            members.append((key: "reasoning_content", value: .string(text)))
        }
        if fields.has("function_call") {
            throw .unsupported("\(path).function_call", "`\(path).function_call` is not supported; use `tool_calls`.")
        }
        // What answers carry and clients send back.
        for name in ["refusal", "annotations", "audio"] { _ = fields.take(name) }
        try fields.end()
        return .object(members)
    }

    /// A string, or text parts joined as they stand.
    private static func content(_ fields: inout FieldReader, path: String) throws(APIError) -> String? {
        guard let value = fields.take("content") else { return nil }
        switch value {
        case .string(let text): return text
        case .array(let parts):
            var text = ""
            for (index, part) in parts.enumerated() {
                let path = "\(path).content[\(index)]"
                var part = try fields.inner(part, path: path)
                let type = try part.string("type", maximum: 64)
                guard type == "text" else {
                    throw .invalid(
                        "\(path).type",
                        "`\(path).type` must be `text`, got `\(type ?? "null")`: this model reads text only.",
                        code: "unsupported_content")
                }
                guard let piece = try part.string("text") else {
                    throw .invalid("\(path).text", "`\(path).text` is required.", code: "missing_required_parameter")
                }
                text += piece
                _ = part.take("cache_control")
                try part.end()
            }
            return text
        default: throw fields.wrong("content", "a string or an array of text parts", got: value)
        }
    }

    /// Past tool calls. Their arguments come as JSON in a string; templates want the value.
    private static func toolCalls(_ fields: inout FieldReader, role: String) throws(APIError) -> [TemplateValue]? {
        let path = fields.name("tool_calls")
        guard let values = try fields.array("tool_calls", maximum: 1024) else { return nil }
        guard role == "assistant" else {
            throw .invalid(path, "`\(path)` is only allowed in messages of the assistant.")
        }
        var calls: [TemplateValue] = []
        for (index, value) in values.enumerated() {
            var call = try fields.inner(value, path: "\(path)[\(index)]")
            _ = try call.string("type", maximum: 64)
            _ = call.take("index")
            guard var function = try call.object("function"), let name = try function.string("name", maximum: 256)
            else {
                throw .invalid(
                    "\(path)[\(index)].function", "`\(path)[\(index)].function` needs a `name`.",
                    code: "missing_required_parameter")
            }
            var arguments = TemplateValue.object([])
            switch function.take("arguments") {
            case nil: break
            case .string(let text)?:
                arguments = (try? JSONParser.parse(Array(text.utf8)))?.templateValue ?? .string(text)
            case let value?: arguments = value.templateValue
            }
            let id = try call.string("id", maximum: 256) ?? "call_\(index)"
            try function.end()
            try call.end()
            calls.append(
                .object([
                    (key: "id", value: .string(id)),
                    (key: "type", value: .string("function")),
                    (
                        key: "function",
                        value: .object([(key: "name", value: .string(name)), (key: "arguments", value: arguments)])
                    ),
                ]))
        }
        return calls.isEmpty ? nil : calls
    }
}
