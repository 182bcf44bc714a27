internal import MartinetGrammars
internal import MartinetJSON

/// The fields that say what an answer must match: OpenAI's `response_format`, vLLM's `structured_outputs` and its older
/// `guided_*`.
enum StructuredOutput {
    private static let maximumChoices = 1024
    /// Most bytes of an expression or a grammar.
    private static let maximumLength = 1 << 20

    /// Takes them; at most one may constrain.
    static func take(_ fields: inout FieldReader) throws(APIError) -> OutputConstraint? {
        var found: [OutputConstraint] = []
        if let constraint = try responseFormat(&fields) { found.append(constraint) }
        if var outputs = try fields.object("structured_outputs") {
            let isCompact = try outputs.bool("disable_any_whitespace") == true
            found += try kinds(&outputs, prefix: "", form: isCompact ? .compact : .any)
            if try outputs.bool("disable_additional_properties") == true {
                let name = outputs.name("disable_additional_properties")
                throw .unsupported(name, "`\(name)` is not supported.")
            }
            _ = try outputs.bool("disable_fallback")
            for name in ["whitespace_pattern", "structural_tag"] where outputs.has(name) {
                throw .unsupported(outputs.name(name), "`\(outputs.name(name))` is not supported.")
            }
            guard !found.isEmpty else {
                throw .invalid(
                    "structured_outputs",
                    "`structured_outputs` needs one of `json`, `json_object`, `regex`, `choice` or `grammar`.")
            }
            try outputs.end()
        }
        found += try kinds(&fields, prefix: "guided_", form: .any)
        _ = try fields.string("guided_decoding_backend", maximum: 256)
        if fields.has("guided_whitespace_pattern") {
            throw .unsupported(
                "guided_whitespace_pattern", "`guided_whitespace_pattern` is not supported: JSON's own space is taken.")
        }
        guard found.count <= 1 else {
            let names = found.map { "`\($0.parameter)`" }.joined(separator: ", ")
            throw .invalid(found[1].parameter, "Give only one of \(names): an answer can be held to one of them.")
        }
        try found.first?.check()
        return found.first
    }

    private static func responseFormat(_ fields: inout FieldReader) throws(APIError) -> OutputConstraint? {
        guard var format = try fields.object("response_format") else { return nil }
        var constraint: OutputConstraint?
        switch try format.string("type", maximum: 64) {
        case "text"?: break
        case "json_object"?:
            // Some servers take a schema here.
            if let value = format.take("schema") {
                constraint = try schema(value, "response_format.schema", form: .any)
            } else {
                constraint = OutputConstraint(.jsonObject(), parameter: "response_format")
            }
        case "json_schema"?:
            guard var named = try format.object("json_schema") else {
                throw missing("response_format.json_schema", "an object with `name` and `schema`")
            }
            guard try named.string("name", maximum: 256) != nil else {
                throw missing("response_format.json_schema.name", "a name for the schema")
            }
            _ = try named.string("description")
            let isStrict = try named.bool("strict") == true
            guard let value = named.take("schema") else {
                throw missing("response_format.json_schema.schema", "a JSON Schema")
            }
            constraint = try schema(
                value, "response_format.json_schema.schema", form: isStrict ? .canonical : .any)
            try named.end()
        default:
            throw .invalid(
                "response_format.type", "`response_format.type` must be `text`, `json_object` or `json_schema`.")
        }
        try format.end()
        return constraint
    }

    /// `json`, `json_object`, `regex`, `choice` and `grammar`, each with a prefix.
    private static func kinds(
        _ fields: inout FieldReader, prefix: String, form: JSONSchemaForm
    ) throws(APIError) -> [OutputConstraint] {
        var found: [OutputConstraint] = []
        let json = prefix + "json"
        if let value = fields.take(json) {
            found.append(try schema(value, fields.name(json), form: form))
        }
        if try fields.bool(json + "_object") == true {
            found.append(OutputConstraint(.jsonObject(form: form), parameter: fields.name(json + "_object")))
        }
        if let text = try fields.string(prefix + "regex", maximum: maximumLength) {
            found.append(OutputConstraint(.regex(text), parameter: fields.name(prefix + "regex")))
        }
        if let values = try fields.array(prefix + "choice", maximum: maximumChoices) {
            let name = fields.name(prefix + "choice")
            guard !values.isEmpty else { throw .invalid(name, "`\(name)` must hold at least one text.") }
            var texts: [GrammarSource] = []
            for (index, value) in values.enumerated() {
                guard case .string(let text) = value, !text.isEmpty, text.utf8.count <= 4096 else {
                    throw fields.wrong("\(prefix)choice[\(index)]", "a string of 1 to 4096 bytes", got: value)
                }
                texts.append(.literal(text))
            }
            found.append(OutputConstraint(.choice(texts), parameter: name))
        }
        if let text = try fields.string(prefix + "grammar", maximum: maximumLength) {
            found.append(OutputConstraint(.ebnf(text), parameter: fields.name(prefix + "grammar")))
        }
        return found
    }

    /// A JSON Schema: an object, true or false, or the text of one.
    static func schema(
        _ value: JSONValue, _ name: String, form: JSONSchemaForm
    ) throws(APIError) -> OutputConstraint {
        switch value {
        case .object, .bool: return OutputConstraint(.jsonSchema(value.text, form: form), parameter: name)
        case .string(let text):
            let parsed: JSONValue
            do {
                parsed = try JSONParser.parse(Array(text.utf8))
            } catch {
                throw .invalid(name, "`\(name)` is no JSON: \(error).")
            }
            guard case .string = parsed else { return try schema(parsed, name, form: form) }
        default: break
        }
        throw .invalid(name, "`\(name)` must be a JSON Schema, an object, got \(value.kind).", code: "invalid_type")
    }

    private static func missing(_ name: String, _ what: String) -> APIError {
        .invalid(name, "`\(name)` is required: \(what).", code: "missing_required_parameter")
    }
}
