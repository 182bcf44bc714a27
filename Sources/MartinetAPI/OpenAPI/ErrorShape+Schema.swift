internal import MartinetJSON

extension ErrorShape {
    /// The name of its schema in the API's document.
    var schemaName: String {
        switch self {
        case .openAI: "Error"
        case .anthropic: "AnthropicError"
        case .openInference: "OpenInferenceError"
        }
    }

    /// Its JSON Schema, from errors with and without all that they may say.
    var schema: JSONValue {
        var likeness = Likeness()
        for error in [
            APIError(status: 400, "It is wrong.", parameter: "prompt", code: "invalid_value"),
            APIError(status: 400, "It is wrong."),
        ] {
            guard let value = try? JSONParser.parse(body(error, requestID: "1f0c")) else { continue }
            likeness.add(value)
        }
        return likeness.schema
    }
}
