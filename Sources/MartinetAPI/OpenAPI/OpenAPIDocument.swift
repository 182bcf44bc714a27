internal import MartinetJSON

/// The API's document (OpenAPI 3.1): made of the routes' own decoders and examples.
public enum OpenAPIDocument {
    /// The document, as JSON.
    ///
    /// - Parameters:
    ///   - operations: the routes that this server has.
    ///   - version: the server's.
    /// - Throws: ``APIError`` where a route does not take its own example, which a test keeps from happening.
    public static func body(of operations: [APIOperation], version: String) throws(APIError) -> [UInt8] {
        var paths: [(key: String, value: JSONValue)] = []
        for operation in operations {
            let member = (key: operation.method, value: try describe(operation))
            if let index = paths.firstIndex(where: { $0.key == operation.path }),
                case .object(let members) = paths[index].value
            {
                paths[index].value = .object(members + [member])
            } else {
                paths.append((key: operation.path, value: .object([member])))
            }
        }
        let document = object([
            ("openapi", .string("3.1.0")),
            (
                "info",
                object([
                    ("title", .string("Martinet")), ("version", .string(version)),
                    ("description", .string("Inference of language models. Unknown members of bodies are ignored.")),
                    ("license", object([("name", .string("Apache-2.0")), ("identifier", .string("Apache-2.0"))])),
                ])
            ),
            ("paths", .object(paths)),
            (
                "components",
                object([
                    ("schemas", object(ErrorShape.allCases.map { ($0.schemaName, $0.schema) })),
                    (
                        "headers",
                        object([
                            (
                                "X-Request-Id",
                                object([
                                    ("description", .string("The request's name, the client's own where it gave one.")),
                                    ("required", .bool(true)),
                                    ("schema", object([("type", .string("string"))])),
                                ])
                            )
                        ])
                    ),
                ])
            ),
        ])
        var writer = JSONWriter()
        writer.value(document)
        return writer.bytes
    }

    private static func describe(_ operation: APIOperation) throws(APIError) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("tags", .array([.string(operation.tag)])), ("summary", .string(operation.summary)),
            ("operationId", .string(identifier(operation))),
        ]
        if !operation.parameters.isEmpty {
            members.append(("parameters", .array(try operation.parameters.map(describe))))
        }
        if let body = operation.otherBody {
            members.append(
                (
                    "requestBody",
                    object([
                        ("required", .bool(true)),
                        (
                            "content",
                            object([
                                (
                                    body.type,
                                    object([
                                        ("schema", try parse(body.schema)), ("example", try parse(body.example)),
                                    ])
                                )
                            ])
                        ),
                    ])
                ))
        }
        if let decode = operation.decode {
            var content: [(String, JSONValue)] = [("schema", try RequestSchema(operation, decode: decode).value)]
            var examples: [(String, JSONValue)] = []
            for (index, example) in operation.examples.enumerated() {
                examples.append(("\(index + 1)", object([("value", try parse(example))])))
            }
            content.append(("examples", object(examples)))
            members.append(
                (
                    "requestBody",
                    object([
                        ("required", .bool(true)), ("content", object([("application/json", object(content))])),
                    ])
                ))
        }
        members.append(("responses", try responses(of: operation)))
        return object(members)
    }

    private static func describe(_ parameter: APIOperation.Parameter) throws(APIError) -> JSONValue {
        let schema = try parse(parameter.schema)
        var members: [(String, JSONValue)] = [
            ("name", .string(parameter.name)), ("in", .string(parameter.place)),
            ("required", .bool(parameter.place == "path")), ("description", .string(parameter.description)),
            ("schema", schema),
        ]
        if !parameter.example.isEmpty {
            let isText = schema["type"]?.string == "string"
            members.append(("example", isText ? .string(parameter.example) : try parse(parameter.example)))
        }
        return object(members)
    }

    private static func responses(of operation: APIOperation) throws(APIError) -> JSONValue {
        var content: [(String, JSONValue)] = []
        if let type = operation.answerType { content.append((type, try answer(of: operation))) }
        if operation.streams { content.append((streamType, events)) }
        var responses: [(String, JSONValue)] = []
        if let status = operation.success { responses.append(("\(status)", response("The answer.", content))) }
        for status in operation.alike {
            responses.append(("\(status)", response(meanings[status] ?? "An error.", content)))
        }
        let shape = object([
            (
                "schema",
                object([("$ref", .string("#/components/schemas/\(ErrorShape(path: operation.path).schemaName)"))])
            )
        ])
        var failures = Set(operation.failures)
        if operation.takesBody { failures.formUnion([400, 408, 413, 415]) }
        if operation.decode != nil { failures.formUnion([404, 429, 500, 503, 504]) }
        for status in failures.sorted() {
            responses.append(("\(status)", response(meanings[status] ?? "An error.", [("application/json", shape)])))
        }
        return object(responses)
    }

    private static func response(_ description: String, _ content: [(String, JSONValue)]) -> JSONValue {
        let id = object([("$ref", .string("#/components/headers/X-Request-Id"))])
        var members = [("description", JSONValue.string(description)), ("headers", object([("X-Request-Id", id)]))]
        if !content.isEmpty { members.append(("content", object(content))) }
        return object(members)
    }

    private static let text = object([("schema", object([("type", .string("string"))]))])

    private static let streamType = "text/event-stream"
    /// One event of a stream.
    private static let events = object([
        (
            "schema",
            object([
                ("type", .string("object")),
                (
                    "properties",
                    object([
                        ("event", object([("type", .string("string"))])),
                        ("data", object([("type", .string("string"))])),
                    ])
                ), ("required", .array([.string("data")])),
            ])
        )
    ])

    private static func answer(of operation: APIOperation) throws(APIError) -> JSONValue {
        guard operation.answerType != streamType else { return events }
        guard !operation.answers.isEmpty else { return text }
        var likeness = Likeness()
        var examples: [(String, JSONValue)] = []
        for (index, answer) in operation.answers.enumerated() {
            let value = try parse(answer)
            likeness.add(value)
            examples.append(("\(index + 1)", object([("value", value)])))
        }
        return object([("schema", likeness.schema), ("examples", object(examples))])
    }

    private static let meanings = [
        400: "A member of the request is wrong; `param` names it.", 403: "This client may not.",
        404: "No such model, or no such object.", 408: "The body came too slowly.", 409: "Not in this state.",
        413: "The body is too large.",
        415: "The body has another type.", 426: "A client of WebSockets is needed.",
        429: "Too many requests wait; try again after `Retry-After` seconds.",
        500: "A fault of the server; its log names it.", 501: "No model here can do this.",
        503: "Not able to answer now; try again after `Retry-After` seconds.", 504: "The request's time is over.",
        507: "The storage is full.",
    ]

    private static func identifier(_ operation: APIOperation) -> String {
        let words = operation.path.split { !$0.isLetter && !$0.isNumber }
        return ([Substring(operation.method)] + words).joined(separator: "_")
    }

    private static func parse(_ text: String) throws(APIError) -> JSONValue {
        do {
            return try JSONParser.parse(Array(text.utf8))
        } catch {
            throw APIError(status: 500, "An example is not JSON: \(error).", type: "server_error")
        }
    }

    private static func object(_ members: [(String, JSONValue)]) -> JSONValue {
        .object(members.map { (key: $0.0, value: $0.1) })
    }
}
