public import MartinetJSON

/// Takes the members of a request's object one by one and checks each: a wrong one gives a 400 that names the field, what
/// it holds and what it may hold. `null` counts as absent, as in the OpenAI API.
public struct FieldReader {
    private var members: [String: JSONValue] = [:]
    private let path: String
    private let isStrict: Bool
    private let recorder: FieldRecorder?

    /// Reads an object at a path, such as `messages[0]`; the path of the body itself is empty.
    ///
    /// - Parameter isStrict: whether ``end()`` refuses members that nothing took.
    public init(_ value: JSONValue, path: String, isStrict: Bool = false) throws(APIError) {
        try self.init(value, path: path, isStrict: isStrict, recorder: nil)
    }

    /// Reads an object, writing down what is asked of it.
    init(_ value: JSONValue, path: String, isStrict: Bool, recorder: FieldRecorder?) throws(APIError) {
        guard case .object(let members) = value else {
            throw .invalid(
                path.isEmpty ? nil : path,
                "\(path.isEmpty ? "The body" : "`\(path)`") must be a JSON object, got \(value.kind).",
                code: "invalid_type")
        }
        self.path = path
        self.isStrict = isStrict
        self.recorder = recorder
        self.members.reserveCapacity(members.count)
        for member in members { self.members[member.key] = member.value }
    }

    /// Names of members that nothing took yet and that are not null, sorted.
    public var untaken: [String] { members.keys.filter(has).sorted() }

    /// The end of the object: where requests are held to what this server knows, a member that nothing took is refused.
    public func end() throws(APIError) {
        guard isStrict, let first = untaken.first else { return }
        let names = untaken.prefix(16).map { "`\(name($0))`" }.joined(separator: ", ")
        throw .invalid(name(first), "This server does not know \(names).", code: "unknown_parameter")
    }

    /// A reader of an object inside this one.
    public func inner(_ value: JSONValue, path: String) throws(APIError) -> FieldReader {
        try FieldReader(value, path: path, isStrict: isStrict, recorder: recorder)
    }

    /// A member's full path, as errors name it.
    public func name(_ field: String) -> String { path.isEmpty ? field : "\(path).\(field)" }

    /// Takes a member of any kind.
    public mutating func take(_ field: String) -> JSONValue? {
        let value = takeUnseen(field)
        if let value { recorder?.note(path, field, example: value) } else { recorder?.note(path, field) }
        return value
    }

    /// Takes a member that the caller says more about than its example shows.
    private mutating func takeUnseen(_ field: String) -> JSONValue? {
        guard let value = members.removeValue(forKey: field) else { return nil }
        if case .null = value { return nil }
        return value
    }

    /// Whether a member is there and not null.
    public func has(_ field: String) -> Bool {
        switch members[field] {
        case nil, .null?: false
        default: true
        }
    }

    /// An error that says what a field must be and what it is.
    public func wrong(_ field: String, _ expected: String, got value: JSONValue) -> APIError {
        let found =
            switch value {
            case .integer(let number): "\(number)"
            case .double(let number): "\(number)"
            default: value.kind
            }
        return .invalid(name(field), "`\(name(field))` must be \(expected), got \(found).", code: "invalid_type")
    }

    /// Takes a string of at most `maximum` bytes.
    public mutating func string(_ field: String, maximum: Int = .max) throws(APIError) -> String? {
        recorder?.note(path, field) {
            $0.types.insert("string")
            if maximum < .max { $0.maxBytes = maximum }
        }
        guard let value = takeUnseen(field) else { return nil }
        guard case .string(let text) = value else { throw wrong(field, "a string", got: value) }
        guard text.utf8.count <= maximum else {
            throw .invalid(
                name(field), "`\(name(field))` must have at most \(maximum) bytes, got \(text.utf8.count).",
                code: "string_above_max_length")
        }
        return text
    }

    /// Takes a string of at most `maximum` bytes that must be there.
    public mutating func requiredString(_ field: String, maximum: Int = .max) throws(APIError) -> String {
        guard let text = try string(field, maximum: maximum) else {
            throw .invalid(name(field), "`\(name(field))` is required.", code: "missing_required_parameter")
        }
        return text
    }

    /// Takes true or false.
    public mutating func bool(_ field: String) throws(APIError) -> Bool? {
        recorder?.note(path, field) { $0.types.insert("boolean") }
        guard let value = takeUnseen(field) else { return nil }
        guard case .bool(let flag) = value else { throw wrong(field, "true or false", got: value) }
        return flag
    }

    /// Takes an integer within a range; `2.0` counts as one.
    public mutating func integer(_ field: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        recorder?.note(path, field) {
            $0.types.insert("integer")
            $0.minimum = Double(range.lowerBound)
            $0.maximum = Double(range.upperBound)
        }
        guard let value = takeUnseen(field) else { return nil }
        return try Self.integer(value, name(field), in: range)
    }

    /// Checks that a value is an integer within a range.
    public static func integer(
        _ value: JSONValue, _ name: String, in range: ClosedRange<Int>
    ) throws(APIError) -> Int {
        let expected = "an integer \(describe(range))"
        switch value {
        case .integer(let number):
            guard range.contains(number) else { throw outOfRange(name, expected, "\(number)") }
            return number
        case .double(let number):
            // Beyond 2^53 a double does not say which integer was meant.
            guard number.rounded() == number, abs(number) <= 9_007_199_254_740_992 else {
                throw outOfRange(name, expected, "\(number)")
            }
            guard range.contains(Int(number)) else { throw outOfRange(name, expected, "\(number)") }
            return Int(number)
        default: throw .invalid(name, "`\(name)` must be \(expected), got \(value.kind).", code: "invalid_type")
        }
    }

    private static func outOfRange(_ name: String, _ expected: String, _ found: String) -> APIError {
        .invalid(name, "`\(name)` must be \(expected), got \(found).", code: "out_of_range")
    }

    private static func describe(_ range: ClosedRange<Int>) -> String {
        switch (range.lowerBound, range.upperBound) {
        case (.min, .max): "of 64 bits"
        case (let lower, .max): "of at least \(lower)"
        default: "from \(range.lowerBound) to \(range.upperBound)"
        }
    }

    /// Takes a number within a range, whose lower bound may be excluded.
    public mutating func number(
        _ field: String, in range: ClosedRange<Double>, excludingLower: Bool = false
    ) throws(APIError) -> Double? {
        recorder?.note(path, field) {
            $0.types.insert("number")
            $0.minimum = range.lowerBound
            $0.maximum = range.upperBound
            $0.excludesMinimum = excludingLower
        }
        guard let value = takeUnseen(field) else { return nil }
        return try Self.number(value, name(field), in: range, excludingLower: excludingLower)
    }

    /// Checks that a value is a number within a range.
    public static func number(
        _ value: JSONValue, _ name: String, in range: ClosedRange<Double>, excludingLower: Bool = false
    ) throws(APIError) -> Double {
        let lower = excludingLower ? "above \(range.lowerBound) and at most" : "from \(range.lowerBound) to"
        let expected = "a number \(lower) \(range.upperBound)"
        let number: Double
        switch value {
        case .integer(let value): number = Double(value)
        case .double(let value): number = value
        default: throw .invalid(name, "`\(name)` must be \(expected), got \(value.kind).", code: "invalid_type")
        }
        guard range.contains(number), !excludingLower || number > range.lowerBound else {
            throw outOfRange(name, expected, "\(number)")
        }
        return number
    }

    /// Takes an array of at most `maximum` elements.
    public mutating func array(_ field: String, maximum: Int) throws(APIError) -> [JSONValue]? {
        recorder?.note(path, field) {
            $0.types.insert("array")
            $0.maxElements = maximum
        }
        guard let value = takeUnseen(field) else { return nil }
        recorder?.note(path, field, example: value)
        guard case .array(let values) = value else { throw wrong(field, "an array", got: value) }
        guard values.count <= maximum else {
            throw .invalid(
                name(field), "`\(name(field))` must have at most \(maximum) elements, got \(values.count).",
                code: "array_above_max_length")
        }
        return values
    }

    /// Takes an object.
    public mutating func object(_ field: String) throws(APIError) -> FieldReader? {
        recorder?.note(path, field) { $0.types.insert("object") }
        guard let value = takeUnseen(field) else { return nil }
        return try inner(value, path: name(field))
    }

    /// Takes an array of token ids below `vocabularySize`.
    public mutating func tokens(
        _ field: String, maximum: Int, vocabularySize: Int
    ) throws(APIError) -> [Int32]? {
        guard let values = try array(field, maximum: maximum) else { return nil }
        return try Self.tokens(values, name(field), vocabularySize: vocabularySize)
    }

    /// Checks that values are token ids below `vocabularySize`.
    public static func tokens(
        _ values: [JSONValue], _ name: String, vocabularySize: Int
    ) throws(APIError) -> [Int32] {
        var tokens: [Int32] = []
        tokens.reserveCapacity(values.count)
        let range = 0...max(0, min(vocabularySize, Int(Int32.max)) - 1)
        for (index, value) in values.enumerated() {
            if case .integer(let token) = value, range.contains(token) {
                tokens.append(Int32(token))
            } else {
                tokens.append(Int32(try integer(value, "\(name)[\(index)]", in: range)))
            }
        }
        return tokens
    }
}
