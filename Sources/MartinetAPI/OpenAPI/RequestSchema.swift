internal import MartinetJSON

/// The JSON Schema of a route's body, as its decoder tells it.
struct RequestSchema {
    private let recorder = FieldRecorder()
    private let required: [String]
    private let route: String

    /// Decodes the examples and writes down what is asked for.
    ///
    /// - Throws: ``APIError`` where the route does not take one of its own examples.
    init(_ operation: APIOperation, decode: APIOperation.Decoder) throws(APIError) {
        route = operation.path
        var required: [String] = []
        for (index, example) in operation.examples.enumerated() {
            var body = try JSONBody(Array(example.utf8))
            body.recorder = recorder
            try decode(body, .described)
            guard index == 0 else { continue }
            // A member without which the route refuses the body, and says so, is required.
            for name in body.names {
                do {
                    try decode(body.without(name), .described)
                } catch  where error.code == "missing_required_parameter" && error.parameter == name {
                    required.append(name)
                } catch {}
            }
        }
        self.required = required
    }

    /// The schema.
    var value: JSONValue { object(at: "", required: required) }

    private func object(at path: String, required: [String] = []) -> JSONValue {
        var properties: [(key: String, value: JSONValue)] = []
        for (name, field) in recorder.members(of: path).sorted(by: { $0.key < $1.key }) where !name.isEmpty {
            properties.append((key: name, value: schema(of: field, at: path.isEmpty ? name : "\(path).\(name)")))
        }
        var members: [(key: String, value: JSONValue)] = [(key: "type", value: .string("object"))]
        if !properties.isEmpty { members.append((key: "properties", value: .object(properties))) }
        if !required.isEmpty { members.append((key: "required", value: .array(required.map { .string($0) }))) }
        return .object(members)
    }

    private func schema(of field: FieldRecorder.Field, at path: String) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = []
        if let text = FieldDescriptions.text(of: path, on: route) {
            members.append((key: "description", value: .string(text)))
        }
        if let values = FieldDescriptions.values(of: path, on: route) {
            members.append((key: "enum", value: .array((values + [nil]).map { $0.map { .string($0) } ?? .null })))
            return .object(members)
        }
        var types = field.types
        if types.contains("number") { types.remove("integer") }
        let choices =
            types.sorted().map { choice($0, field, at: path) } + [.object([(key: "type", value: .string("null"))])]
        // What only the example of another route would show may be anything.
        if !types.isEmpty { members.append((key: "anyOf", value: .array(choices))) }
        return .object(members)
    }

    private func choice(_ type: String, _ field: FieldRecorder.Field, at path: String) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [(key: "type", value: .string(type))]
        switch type {
        case "integer", "number":
            // What no integer of a JSON reader is beyond is no bound worth telling.
            if let minimum = field.minimum, abs(minimum) < 9e15 {
                members.append((key: field.excludesMinimum ? "exclusiveMinimum" : "minimum", value: number(minimum)))
            }
            if let maximum = field.maximum, abs(maximum) < 9e15 {
                members.append((key: "maximum", value: number(maximum)))
            }
        case "string":
            if let most = field.maxBytes { members.append((key: "maxLength", value: .integer(most))) }
        case "array":
            if let most = field.maxElements, most < .max {
                members.append((key: "maxItems", value: .integer(most)))
            }
            if let items = items(of: path) { members.append((key: "items", value: items)) }
        case "object":
            guard !recorder.members(of: path).isEmpty else { break }
            return object(at: path)
        default: break
        }
        return .object(members)
    }

    private func items(of path: String) -> JSONValue? {
        var choices: [JSONValue] = []
        if !recorder.members(of: path + "[]").filter({ !$0.key.isEmpty }).isEmpty {
            choices.append(object(at: path + "[]"))
        }
        if let field = recorder.elements(of: path) {
            choices += field.types.sorted().map { choice($0, field, at: path + "[]") }
        }
        if choices.count <= 1 { return choices.first }
        return .object([(key: "anyOf", value: .array(choices))])
    }

    private func number(_ value: Double) -> JSONValue {
        value == value.rounded() ? .integer(Int(value)) : .double(value)
    }
}
