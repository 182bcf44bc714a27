/// A JSON document in memory, for configuration files of which every field is optional.
///
/// ```swift
/// let theta = config["rope_scaling"]?["factor"]?.double
/// ```
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent that fits.
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Reads a document.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8, with or without a byte order mark.
    ///   - uniqueKeys: whether an object with the same key twice is an error; else the last one counts.
    /// - Throws: ``JSONError`` naming the byte where the document stops being JSON.
    public init(parsing bytes: UnsafeRawBufferPointer, uniqueKeys: Bool = false) throws(JSONError) {
        var parser = JSONParser(bytes: bytes, uniqueKeys: uniqueKeys)
        self = try parser.document()
    }

    /// Reads a document from text.
    public init(parsing text: String) throws(JSONError) {
        // A closure of `withUnsafeBytes` cannot throw a typed error.
        let result = Array(text.utf8).withUnsafeBytes { bytes -> Result<JSONValue, JSONError> in
            do throws(JSONError) {
                return .success(try JSONValue(parsing: bytes))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    /// A member of an object; `nil` where it is absent, `null`, or this is no object.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self, let value = members[key], value != .null else { return nil }
        return value
    }

    /// An element of an array; `nil` where there is none.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// A whole number, also one written `4096.0`; else `nil`.
    public var int: Int? {
        switch self {
        case .int(let value): value
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }

    /// A number, else `nil`.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// A string, else `nil`.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// A truth value, else `nil`.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The elements of an array, else `nil`.
    public var array: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members of an object, else `nil`.
    public var object: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The numbers of an array of whole numbers, or a lone one (`eos_token_id` comes as either); else `nil`.
    public var ints: [Int]? {
        if let int { return [int] }
        guard let array else { return nil }
        let numbers = array.compactMap(\.int)
        return numbers.count == array.count ? numbers : nil
    }

    /// The numbers of an array of numbers, else `nil`.
    public var doubles: [Double]? {
        guard let array else { return nil }
        let numbers = array.compactMap(\.double)
        return numbers.count == array.count ? numbers : nil
    }

    /// The strings of an array of strings, or a lone one; else `nil`.
    public var strings: [String]? {
        if let string { return [string] }
        guard let array else { return nil }
        let strings = array.compactMap(\.string)
        return strings.count == array.count ? strings : nil
    }
}

/// Why bytes are not JSON.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// The byte where it is.
    public var offset: Int

    /// What is wrong, and where.
    public var description: String { "\(message) at byte \(offset)" }
}
