internal import MartinetGrammars
internal import MartinetJSON

/// The fields of `/v1/responses` that shape the answer, and what answers say of them.
struct ResponseShape {
    var constraint: OutputConstraint?
    var effort: String?
    var logprobs = false
    var topLogprobs = 0
    var truncates = false
    var echo: [(key: String, value: JSONValue)] = []

    private static let includable: Set<String> = [
        "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
        "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
        "reasoning.encrypted_content", "message.output_text.logprobs",
    ]

    mutating func take(_ fields: inout FieldReader) throws(APIError) {
        try takeText(&fields)
        try takeReasoning(&fields)
        try takeLogprobs(&fields)
        let truncation = try fields.string("truncation", maximum: 64) ?? "disabled"
        guard ["auto", "disabled"].contains(truncation) else {
            throw .invalid("truncation", "`truncation` must be `auto` or `disabled`, got `\(truncation)`.")
        }
        truncates = truncation == "auto"
        echo.append(("truncation", .string(truncation)))
        let calls = try fields.integer("max_tool_calls", in: 1...Int(Int32.max))
        echo.append(("max_tool_calls", calls.map(JSONValue.integer) ?? .null))
        try takeMetadata(&fields)
        for name in ["prompt_cache_key", "safety_identifier", "user"] {
            let text = try fields.string(name, maximum: 4096)
            echo.append((name, text.map(JSONValue.string) ?? .null))
        }
    }

    private mutating func takeText(_ fields: inout FieldReader) throws(APIError) {
        var members: [(key: String, value: JSONValue)] = [("format", .object([("type", .string("text"))]))]
        if var text = try fields.object("text") {
            if let value = text.take("format") {
                members[0].value = value
                var format = try text.inner(value, path: "text.format")
                try takeFormat(&format)
            }
            if let verbosity = try text.string("verbosity", maximum: 64) {
                members.append(("verbosity", .string(verbosity)))
            }
            try text.end()
        }
        echo.append(("text", .object(members)))
    }

    private mutating func takeFormat(_ format: inout FieldReader) throws(APIError) {
        switch try format.string("type", maximum: 64) {
        case "text"?: break
        case "json_object"?: constraint = OutputConstraint(.jsonObject(), parameter: "text.format")
        case "json_schema"?:
            guard try format.string("name", maximum: 256) != nil else {
                throw .invalid(
                    "text.format.name", "`text.format.name` is required with `type` `json_schema`.",
                    code: "missing_required_parameter")
            }
            let isStrict = try format.bool("strict") == true
            guard let schema = format.take("schema") else {
                throw .invalid(
                    "text.format.schema", "`text.format.schema` is required with `type` `json_schema`.",
                    code: "missing_required_parameter")
            }
            guard case .object = schema else { throw format.wrong("schema", "an object", got: schema) }
            var writer = JSONWriter()
            writer.value(schema)
            constraint = OutputConstraint(
                .jsonSchema(String(decoding: writer.bytes, as: UTF8.self), form: isStrict ? .canonical : .any),
                parameter: "text.format.schema")
        case let type:
            throw .invalid(
                "text.format.type",
                "`text.format.type` must be `text`, `json_object` or `json_schema`, got `\(type ?? "null")`.")
        }
    }

    private mutating func takeReasoning(_ fields: inout FieldReader) throws(APIError) {
        var summary: String?
        if var reasoning = try fields.object("reasoning") {
            effort = try reasoning.string("effort", maximum: 64)
            summary = try reasoning.string("summary", maximum: 64)
            try reasoning.end()
        }
        echo.append(
            (
                "reasoning",
                .object([
                    ("effort", effort.map(JSONValue.string) ?? .null),
                    ("summary", summary.map(JSONValue.string) ?? .null),
                ])
            ))
    }

    private mutating func takeLogprobs(_ fields: inout FieldReader) throws(APIError) {
        for (index, value) in (try fields.array("include", maximum: 64) ?? []).enumerated() {
            guard let name = value.string, Self.includable.contains(name) else {
                throw fields.wrong(
                    "include[\(index)]", "one of \(Self.includable.sorted().joined(separator: ", "))", got: value)
            }
            if name == "message.output_text.logprobs" { logprobs = true }
        }
        topLogprobs = try fields.integer("top_logprobs", in: 0...20) ?? 0
        if topLogprobs > 0 { logprobs = true }
        echo.append(("top_logprobs", .integer(topLogprobs)))
    }

    private mutating func takeMetadata(_ fields: inout FieldReader) throws(APIError) {
        guard let value = fields.take("metadata") else { return echo.append(("metadata", .object([]))) }
        guard case .object(let members) = value else { throw fields.wrong("metadata", "an object", got: value) }
        guard members.count <= 16 else {
            throw .invalid("metadata", "`metadata` must have at most 16 members, got \(members.count).")
        }
        for (key, value) in members {
            guard key.utf8.count <= 64, let text = value.string, text.utf8.count <= 512 else {
                throw .invalid(
                    "metadata",
                    "`metadata` must have keys of at most 64 bytes and strings of at most 512 bytes as values; "
                        + "`\(key.prefix(64))` has not.")
            }
        }
        echo.append(("metadata", value))
    }
}
