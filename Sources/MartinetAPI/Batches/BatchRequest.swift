internal import MartinetJSON

/// `POST /v1/batches`.
public struct BatchRequest: Sendable {
    /// The file of the requests.
    public var inputFile: String
    /// The route that they are for.
    public var endpoint: String
    /// How long the batch may take, as the client said it.
    public var completionWindow: String
    /// What the client notes on it.
    public var metadata: [(key: String, value: String)]

    /// The routes that take batches.
    public static let endpoints = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"]
    /// The window's length in seconds: OpenAI knows one.
    public var seconds: Int { 24 * 3600 }

    /// Decodes a request.
    public init(_ body: JSONBody) throws(APIError) {
        var fields = try body.reader()
        inputFile = try fields.requiredString("input_file_id", maximum: 256)
        endpoint = try fields.requiredString("endpoint", maximum: 256)
        guard Self.endpoints.contains(endpoint) else {
            let names = Self.endpoints.map { "`\($0)`" }.joined(separator: ", ")
            throw .invalid("endpoint", "`endpoint` must be one of \(names), got `\(endpoint)`.")
        }
        completionWindow = try fields.requiredString("completion_window", maximum: 64)
        guard completionWindow == "24h" else {
            throw .invalid("completion_window", "`completion_window` must be `24h`, got `\(completionWindow)`.")
        }
        metadata = try Self.metadata(&fields)
        try fields.end()
    }

    private static func metadata(_ fields: inout FieldReader) throws(APIError) -> [(key: String, value: String)] {
        guard let value = fields.take("metadata") else { return [] }
        guard case .object(let members) = value else { throw fields.wrong("metadata", "an object", got: value) }
        guard members.count <= 16 else {
            throw .invalid("metadata", "`metadata` must have at most 16 members, got \(members.count).")
        }
        var metadata: [(key: String, value: String)] = []
        for (key, value) in members {
            guard case .string(let text) = value, key.utf8.count <= 64, text.utf8.count <= 512 else {
                throw .invalid(
                    "metadata", "`metadata` holds texts of at most 512 bytes under keys of at most 64 bytes.")
            }
            metadata.append((key, text))
        }
        return metadata
    }
}
