internal import MartinetJSON

/// A message of a client on `/v1/ws`.
public enum SocketMessage: Sendable {
    /// Begins a generation.
    case call(SocketCall)
    /// Ends a generation.
    case cancel(id: String)
    /// Asks for a `pong`, with the same id.
    case ping(id: String?)

    /// Most bytes of an id.
    public static let maxIDBytes = 128

    /// The routes whose requests a socket takes, by the type of the message.
    private static let paths = [
        "generate": "/generate", "completion": "/v1/completions", "chat": "/v1/chat/completions",
        "message": "/v1/messages", "response": "/v1/responses",
    ]

    /// Decodes a message: `type`, `id`, and for a generation the fields of its route.
    ///
    /// - Throws: ``SocketRefusal`` that names the id, where the message has one.
    public init(_ bytes: [UInt8]) throws(SocketRefusal) {
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw SocketRefusal(
                APIError(status: 400, "The message is not valid JSON: \(error).", code: "invalid_json"))
        }
        guard case .object(let members) = value else {
            throw SocketRefusal(
                .invalid(nil, "A message must be a JSON object, got \(value.kind).", code: "invalid_type"))
        }
        let id: String?
        switch value["id"] {
        case nil, .null?: id = nil
        case .string(let text)? where (1...Self.maxIDBytes).contains(text.utf8.count): id = text
        default:
            throw SocketRefusal(
                .invalid("id", "`id` must be a string of 1 to \(Self.maxIDBytes) bytes.", code: "invalid_type"))
        }
        guard case .string(let type)? = value["type"] else {
            throw SocketRefusal(.invalid("type", "`type` must be one of \(Self.types).", code: "invalid_type"), id: id)
        }
        if type == "ping" {
            self = .ping(id: id)
            return
        }
        guard type == "cancel" || Self.paths[type] != nil else {
            throw SocketRefusal(
                .invalid("type", "`type` must be one of \(Self.types), got `\(type.prefix(64))`."), id: id)
        }
        guard let id else {
            throw SocketRefusal(
                .invalid("id", "`id` is required: answers carry it.", code: "missing_required_parameter"))
        }
        guard let path = Self.paths[type] else {
            self = .cancel(id: id)
            return
        }
        var writer = JSONWriter()
        writer.object { writer in
            for member in members where member.key != "type" && member.key != "id" {
                writer.key(member.key)
                writer.value(member.value)
            }
            // What one would open a socket for.
            if value["stream"] == nil { writer.field("stream", true) }
        }
        self = .call(SocketCall(id: id, path: path, body: writer.bytes))
    }

    private static var types: String {
        (paths.keys.sorted() + ["cancel", "ping"]).map { "`\($0)`" }.joined(separator: ", ")
    }
}

/// A generation that a message asks for.
public struct SocketCall: Sendable {
    /// The client's name for it, unique among those of the connection that are under way.
    public var id: String
    /// The route that it would be on HTTP.
    public var path: String
    /// The body that it would have there.
    public var body: [UInt8]
}

/// A message that is not obeyed.
public struct SocketRefusal: Error, Sendable {
    /// What is wrong.
    public var error: APIError
    /// The generation that will not be; absent where the message named none, or one that goes on.
    public var id: String?

    /// Describes a refusal.
    public init(_ error: APIError, id: String? = nil) {
        self.error = error
        self.id = id
    }
}
