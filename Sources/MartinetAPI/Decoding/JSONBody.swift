package import MartinetJSON

/// A request's body, parsed once: what routing looks at, and what every surface decodes.
public struct JSONBody: Sendable {
    /// The body as it came.
    public let bytes: [UInt8]
    private var value: JSONValue
    private let isStrict: Bool
    /// Writes down what decoders ask for.
    var recorder: FieldRecorder?

    /// Parses a body.
    ///
    /// - Parameter isStrict: whether fields that this server does not know are refused.
    /// - Throws: ``APIError`` 400 where it is not a JSON object.
    public init(_ bytes: [UInt8], isStrict: Bool = false) throws(APIError) {
        self.isStrict = isStrict
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw APIError(status: 400, "The body is not valid JSON: \(error).", code: "invalid_json")
        }
        guard case .object = value else {
            throw .invalid(nil, "The body must be a JSON object, got \(value.kind).", code: "invalid_type")
        }
        self.bytes = bytes
    }

    /// What a surface without JSON says, as a body that would say the same: so that all are checked alike.
    package init(members: [(key: String, value: JSONValue)]) {
        value = .object(members)
        bytes = []
        isStrict = false
    }

    /// A reader of its members.
    func reader() throws(APIError) -> FieldReader {
        try FieldReader(value, path: "", isStrict: isStrict, recorder: recorder)
    }

    /// The names of its members.
    var names: [String] {
        guard case .object(let members) = value else { return [] }
        return members.map(\.key)
    }

    /// The same without a member.
    func without(_ name: String) -> JSONBody {
        var other = self
        if case .object(let members) = value { other.value = .object(members.filter { $0.key != name }) }
        other.recorder = nil
        return other
    }

    /// The model that the request names; `nil` where it names none.
    ///
    /// - Throws: ``APIError`` 400 where it is not a string.
    public func model() throws(APIError) -> String? {
        switch value["model"] {
        case nil, .null?: return nil
        case .string(let name)?: return name
        case .some(let other):
            throw .invalid("model", "`model` must be a string, got \(other.kind).", code: "invalid_type")
        }
    }

    /// Whether the client wants a stream.
    public var stream: Bool {
        if case .bool(true)? = value["stream"] { true } else { false }
    }

    /// The most output tokens that the request names, in whichever of its spellings.
    public var maxTokens: Int? {
        for field in ["max_completion_tokens", "max_tokens", "max_output_tokens"] {
            if let count = value[field]?.integer, count >= 0 { return count }
        }
        return nil
    }

    /// Who the end user is, as the client says.
    public var user: String? { value["user"]?.string }
}
