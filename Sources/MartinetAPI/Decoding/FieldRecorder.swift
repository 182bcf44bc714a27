internal import MartinetJSON
internal import Synchronization

/// Writes down what decoders ask of a request's members, while they decode examples: that is the schema of a route, from
/// the very code that decodes it.
final class FieldRecorder: Sendable {
    /// What is known of a member.
    struct Field: Sendable {
        /// JSON Schema's names of types that it may have.
        var types: Set<String> = []
        /// Bounds of numbers.
        var minimum: Double?
        var maximum: Double?
        var excludesMinimum = false
        /// Most bytes of a string.
        var maxBytes: Int?
        /// Most elements of an array.
        var maxElements: Int?
    }

    /// By the path of an object, such as `messages[]`, its members by name.
    private let objects = Mutex<[String: [String: Field]]>([:])

    /// The members of the object at a path.
    func members(of path: String) -> [String: Field] { objects.withLock { $0[path] ?? [:] } }

    /// What is known of an array's elements that are no objects.
    func elements(of path: String) -> Field? { members(of: path + "[]")[""] }

    /// Adds to what is known of a member.
    func note(_ path: String, _ field: String, _ change: (inout Field) -> Void = { _ in }) {
        objects.withLock { change(&$0[Self.plain(path), default: [:]][field, default: Field()]) }
    }

    /// Adds what a value of an example shows.
    func note(_ path: String, _ field: String, example value: JSONValue) {
        note(path, field) { $0.types.insert(value.schemaType) }
        guard case .array(let values) = value else { return }
        let inner = (path.isEmpty ? field : field.isEmpty ? path : "\(path).\(field)") + "[]"
        for value in values {
            if case .object = value { continue }
            note(inner, "", example: value)
        }
    }

    /// A path without the positions in arrays.
    private static func plain(_ path: String) -> String {
        guard path.contains("[") else { return path }
        var result = ""
        var isInside = false
        for character in path {
            if character == "]" { isInside = false }
            if !isInside { result.append(character) }
            if character == "[" { isInside = true }
        }
        return result
    }
}

extension JSONValue {
    /// JSON Schema's name of its type.
    var schemaType: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .integer: "integer"
        case .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
