internal import MartinetJSON

/// One request of a batch's file: `{"custom_id","method":"POST","url","body":{…}}`.
public struct BatchLine: Sendable {
    /// The client's name for the request.
    public var customID: String
    /// The request's body, JSON.
    public var body: [UInt8]

    /// Most bytes of a `custom_id`.
    public static let maximumIDBytes = 512

    /// Decodes a line.
    ///
    /// - Parameters:
    ///   - bytes: the line without its end.
    ///   - endpoint: the batch's route.
    /// - Throws: ``BatchProblem`` without a line's number.
    public init(_ bytes: [UInt8], endpoint: String) throws(BatchProblem) {
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw BatchProblem(code: "invalid_json_line", message: "This line is not valid JSON: \(error).")
        }
        guard case .object = value else {
            throw BatchProblem(
                code: "invalid_json_line", message: "This line must be a JSON object, got \(value.kind).")
        }
        customID = try Self.text(value, "custom_id")
        guard (1...Self.maximumIDBytes).contains(customID.utf8.count) else {
            throw BatchProblem(
                code: "invalid_custom_id", message: "`custom_id` must have 1 to \(Self.maximumIDBytes) bytes.",
                parameter: "custom_id")
        }
        let method = try Self.text(value, "method")
        guard method == "POST" else {
            throw BatchProblem(
                code: "invalid_method", message: "`method` must be `POST`, got `\(method.prefix(64))`.",
                parameter: "method")
        }
        let url = try Self.text(value, "url")
        guard url == endpoint else {
            throw BatchProblem(
                code: "mismatched_endpoint",
                message: "`url` must be the batch's endpoint `\(endpoint)`, got `\(url.prefix(256))`.", parameter: "url"
            )
        }
        guard let body = value["body"] else { throw Self.missing("body") }
        guard case .object = body else {
            throw BatchProblem(
                code: "invalid_request", message: "`body` must be a JSON object, got \(body.kind).", parameter: "body")
        }
        var writer = JSONWriter()
        writer.value(body)
        self.body = writer.bytes
    }

    private static func missing(_ name: String) -> BatchProblem {
        BatchProblem(
            code: "missing_required_parameter", message: "`\(name)` is required on every line.", parameter: name)
    }

    private static func text(_ value: JSONValue, _ name: String) throws(BatchProblem) -> String {
        switch value[name] {
        case nil, .null?: throw missing(name)
        case .string(let text)?: return text
        case let other?:
            throw BatchProblem(
                code: "invalid_type", message: "`\(name)` must be a string, got \(other.kind).", parameter: name)
        }
    }
}
