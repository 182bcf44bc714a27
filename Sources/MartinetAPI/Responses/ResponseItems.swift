internal import MartinetJSON
internal import MartinetTemplates

/// Reads the items that go into a response: its input, and what earlier responses took and gave.
struct ResponseItems {
    /// Most items in a request.
    static let maximumCount = 16_384

    private var list = MessageList()

    /// Begins with what the client instructs; it goes before all items.
    init(instructions: String?) {
        if let instructions { list.add(instructions, role: "system") }
    }

    /// Adds an item.
    ///
    /// - Parameter reader: of the request that it stands in.
    mutating func add(_ value: JSONValue, path: String, in reader: FieldReader? = nil) throws(APIError) {
        var fields =
            if let reader { try reader.inner(value, path: path) } else { try FieldReader(value, path: path) }
        let type = try fields.string("type", maximum: 64)
        switch type {
        case nil, "message"?: try addMessage(&fields, path: path)
        case "reasoning"?: try addReasoning(&fields, path: path)
        case "function_call"?:
            let arguments = try fields.requiredString("arguments")
            list.addCall(
                id: try fields.requiredString("call_id"), name: try fields.requiredString("name"),
                arguments: (try? JSONParser.parse(Array(arguments.utf8)))?.templateValue ?? .string(arguments))
        case "function_call_output"?:
            let id = try fields.requiredString("call_id")
            guard let output = fields.take("output") else {
                throw .invalid(
                    "\(path).output", "`\(path).output` is required: a string or an array of text parts.",
                    code: "missing_required_parameter")
            }
            let text = try Self.text(output, path: "\(path).output", parts: ["input_text"], in: fields)
            guard list.addResult(text, callID: id) else {
                throw .invalid(
                    "\(path).call_id",
                    "`\(path).call_id` must name a `function_call` before it, got `\(id.prefix(128))`.")
            }
        case "item_reference"?:
            throw .unsupported(
                "\(path).type",
                "`\(path).type` `item_reference` is not supported: give the item itself, or `previous_response_id`.")
        case let type?:
            throw .unsupported(
                "\(path).type",
                "`\(path).type` must be `message`, `function_call`, `function_call_output` or `reasoning`, got "
                    + "`\(type)`.")
        }
    }

    private mutating func addMessage(_ fields: inout FieldReader, path: String) throws(APIError) {
        guard var role = try fields.string("role", maximum: 64) else {
            throw .invalid("\(path).role", "`\(path).role` is required.", code: "missing_required_parameter")
        }
        guard ["user", "assistant", "system", "developer"].contains(role) else {
            throw .invalid(
                "\(path).role",
                "`\(path).role` must be `user`, `assistant`, `system` or `developer`, got `\(role)`.")
        }
        // Templates know the older name.
        if role == "developer" { role = "system" }
        guard let content = fields.take("content") else {
            throw .invalid(
                "\(path).content", "`\(path).content` is required: a string or an array of text parts.",
                code: "missing_required_parameter")
        }
        let parts: Set = role == "assistant" ? ["output_text", "refusal"] : ["input_text"]
        list.add(try Self.text(content, path: "\(path).content", parts: parts, in: fields), role: role)
    }

    /// What was thought, else what was said of it.
    private mutating func addReasoning(_ fields: inout FieldReader, path: String) throws(APIError) {
        for field in ["content", "summary"] {
            guard let parts = try fields.array(field, maximum: 1024), !parts.isEmpty else { continue }
            let text = try Self.text(
                .array(parts), path: "\(path).\(field)", parts: ["reasoning_text", "summary_text"], in: fields)
            return list.addReasoning(text)
        }
    }

    /// A string, or text parts joined as they stand.
    private static func text(
        _ value: JSONValue, path: String, parts known: Set<String>, in reader: FieldReader
    ) throws(APIError) -> String {
        switch value {
        case .string(let text): return text
        case .array(let parts):
            var text = ""
            for (index, part) in parts.enumerated() {
                let path = "\(path)[\(index)]"
                var fields = try reader.inner(part, path: path)
                let type = try fields.string("type", maximum: 64) ?? "null"
                guard known.contains(type) else {
                    throw .invalid(
                        "\(path).type",
                        "`\(path).type` must be \(known.sorted().map { "`\($0)`" }.joined(separator: " or ")) here, got "
                            + "`\(type)`: this model reads text only.",
                        code: "unsupported_content")
                }
                text += try fields.requiredString(type == "refusal" ? "refusal" : "text")
            }
            return text
        default:
            throw .invalid(
                path, "`\(path)` must be a string or an array of text parts, got \(value.kind).", code: "invalid_type")
        }
    }

    /// The messages in the form that chat templates see.
    mutating func finish() -> [TemplateValue] { list.finish() }
}
