internal import MartinetJSON
internal import MartinetTemplates

/// Reads `system` and `messages` of Anthropic's API.
enum AnthropicMessages {
    /// Most messages in a request, as at Anthropic.
    static let maximumCount = 100_000

    /// Takes `system` and `messages`.
    ///
    /// - Returns: the messages as chat templates see them, and whether the answer goes on with the last one.
    static func take(
        _ fields: inout FieldReader
    ) throws(APIError) -> (messages: [TemplateValue], continuesLast: Bool) {
        var list = MessageList()
        if let system = fields.take("system") {
            for text in try texts(system, path: "system", in: fields) { list.add(text, role: "system") }
        }
        guard let values = try fields.array("messages", maximum: maximumCount) else {
            throw .invalid(
                "messages", "`messages` is required: an array of objects with `role` and `content`.",
                code: "missing_required_parameter")
        }
        guard !values.isEmpty else { throw .invalid("messages", "`messages` must hold at least one message.") }
        for (index, value) in values.enumerated() {
            let path = "messages[\(index)]"
            try add(try fields.inner(value, path: path), path: path, to: &list)
        }
        if list.endsWithCalls {
            throw .invalid(
                "messages", "`messages` must not end with `tool_use`: a `tool_result` for each call must follow.")
        }
        let continuesLast = list.endsWithAssistant
        let messages = list.finish()
        guard !messages.isEmpty else { throw .invalid("messages", "`messages` hold nothing that the model reads.") }
        return (messages, continuesLast)
    }

    private static func add(_ message: FieldReader, path: String, to list: inout MessageList) throws(APIError) {
        var fields = message
        guard let role = try fields.string("role", maximum: 64) else {
            throw .invalid("\(path).role", "`\(path).role` is required.", code: "missing_required_parameter")
        }
        guard ["user", "assistant", "system"].contains(role) else {
            throw .invalid("\(path).role", "`\(path).role` must be `user`, `assistant` or `system`, got `\(role)`.")
        }
        switch fields.take("content") {
        case .string(let text)?: list.add(text, role: role)
        case .array(let blocks)?:
            guard !blocks.isEmpty else {
                throw .invalid("\(path).content", "`\(path).content` must hold at least one block.")
            }
            for (index, block) in blocks.enumerated() {
                let path = "\(path).content[\(index)]"
                try add(try fields.inner(block, path: path), role: role, path: path, to: &list)
            }
        case nil:
            throw .invalid(
                "\(path).content", "`\(path).content` is required: a string or an array of content blocks.",
                code: "missing_required_parameter")
        case let value?: throw fields.wrong("content", "a string or an array of content blocks", got: value)
        }
    }

    private static func add(
        _ block: FieldReader, role: String, path: String, to list: inout MessageList
    ) throws(APIError) {
        var fields = block
        let type = try fields.string("type", maximum: 64)
        switch (type, role) {
        case ("text"?, _): list.add(try fields.requiredString("text"), role: role)
        case ("thinking"?, "assistant"): list.addReasoning(try fields.requiredString("thinking"))
        // Nobody here can read it, and it says nothing to this model.
        case ("redacted_thinking"?, "assistant"): return
        case ("tool_use"?, "assistant"):
            let id = try fields.requiredString("id")
            let name = try fields.requiredString("name")
            let input = fields.take("input") ?? .object([])
            guard case .object = input else { throw fields.wrong("input", "an object", got: input) }
            list.addCall(id: id, name: name, arguments: input.templateValue)
        case ("tool_result"?, "user"):
            let id = try fields.requiredString("tool_use_id")
            let content = fields.take("content")
            var text = try content.map { value throws(APIError) in
                try texts(value, path: "\(path).content", in: block).joined(separator: "\n")
            }
            // Templates have no place for it.
            if try fields.bool("is_error") == true { text = "Error: \(text ?? "")" }
            guard list.addResult(text ?? "", callID: id) else {
                throw .invalid(
                    "\(path).tool_use_id",
                    "`\(path).tool_use_id` must name a `tool_use` of an earlier message, got `\(id.prefix(128))`.")
            }
        default: throw refusal(type, path: path, role: role)
        }
    }

    /// The texts of a string, or of an array of text blocks.
    private static func texts(
        _ value: JSONValue, path: String, in reader: FieldReader
    ) throws(APIError) -> [String] {
        switch value {
        case .string(let text): return [text]
        case .array(let blocks):
            var texts: [String] = []
            for (index, block) in blocks.enumerated() {
                let path = "\(path)[\(index)]"
                var fields = try reader.inner(block, path: path)
                let type = try fields.string("type", maximum: 64)
                guard type == "text" else { throw refusal(type, path: path, role: nil) }
                texts.append(try fields.requiredString("text"))
            }
            return texts
        default:
            throw .invalid(
                path, "`\(path)` must be a string or an array of text blocks, got \(value.kind).", code: "invalid_type")
        }
    }

    /// - Parameter role: whose message it stands in; `nil` where only text may stand.
    private static func refusal(_ type: String?, path: String, role: String?) -> APIError {
        let known =
            switch role {
            case "assistant": "`text`, `thinking`, `redacted_thinking` or `tool_use`"
            case "user": "`text` or `tool_result`"
            default: "`text`"
            }
        return .invalid(
            "\(path).type",
            "`\(path).type` must be \(known) here, got `\(type ?? "null")`: this model reads text only.",
            code: "unsupported_content")
    }
}
