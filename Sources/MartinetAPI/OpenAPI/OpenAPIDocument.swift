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
            ("components", object([("schemas", object([("Error", errorSchema)]))])),
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
            members.append(("parameters", .array(operation.parameters.map(describe))))
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

    private static func describe(_ parameter: APIOperation.Parameter) -> JSONValue {
        object([
            ("name", .string(parameter.name)), ("in", .string(parameter.place)),
            ("required", .bool(parameter.place == "path")), ("description", .string(parameter.description)),
            ("schema", object([("type", .string(parameter.type))])), ("example", .string(parameter.example)),
        ])
    }

    private static func responses(of operation: APIOperation) throws(APIError) -> JSONValue {
        var content: [(String, JSONValue)] = []
        if let answer = operation.answer {
            let value = try parse(answer)
            content.append((operation.answerType, object([("schema", value.likeness), ("example", value)])))
        } else {
            content.append((operation.answerType, object([("schema", object([("type", .string("string"))]))])))
        }
        if operation.streams {
            content.append(("text/event-stream", object([("schema", object([("type", .string("string"))]))])))
        }
        var responses = [
            ("200", object([("description", .string("The answer.")), ("content", object(content))]))
        ]
        let generates = operation.decode == nil ? [] : [404, 413, 415, 429, 500, 503, 504]
        for status in Set(operation.failures + generates).sorted() {
            responses.append(
                (
                    "\(status)",
                    object([
                        ("description", .string(meanings[status] ?? "An error.")),
                        (
                            "content",
                            object([
                                (
                                    "application/json",
                                    object([
                                        ("schema", object([("$ref", .string("#/components/schemas/Error"))]))
                                    ])
                                )
                            ])
                        ),
                    ])
                ))
        }
        return object(responses)
    }

    private static let meanings = [
        400: "A member of the request is wrong; `param` names it.", 403: "This client may not.",
        404: "No such model, or no such object.", 409: "Not in this state.", 413: "The body is too large.",
        415: "The body is no JSON.", 429: "Too many requests wait; try again after `Retry-After` seconds.",
        500: "A fault of the server; its log names it.", 501: "No model here can do this.",
        503: "Not able to answer now; try again after `Retry-After` seconds.", 504: "The request's time is over.",
    ]

    private static let errorSchema = object([
        ("type", .string("object")),
        (
            "properties",
            object([
                (
                    "error",
                    object([
                        ("type", .string("object")),
                        (
                            "properties",
                            object([
                                ("message", object([("type", .string("string"))])),
                                ("type", object([("type", .string("string"))])),
                            ])
                        ), ("required", .array([.string("message"), .string("type")])),
                    ])
                )
            ])
        ), ("required", .array([.string("error")])),
    ])

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
