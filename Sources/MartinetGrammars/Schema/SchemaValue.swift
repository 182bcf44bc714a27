internal import MartinetJSON

/// The name of an object's member: equal when its scalars are, which is less than Swift's strings ask for.
struct MemberName: Hashable, Comparable, Sendable {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    static func == (left: MemberName, right: MemberName) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }
    static func < (left: MemberName, right: MemberName) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }
    func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}

/// The members of an object in the order in which they are written, which two equal objects need not share.
struct SchemaMembers: Hashable, Sendable {
    /// The values by name.
    private(set) var values: [MemberName: SchemaValue] = [:]
    /// The names in order, each once.
    private(set) var names: [MemberName] = []

    subscript(name: MemberName) -> SchemaValue? { values[name] }

    mutating func set(_ value: SchemaValue, for name: MemberName) {
        if values.updateValue(value, forKey: name) == nil { names.append(name) }
    }

    static func == (left: SchemaMembers, right: SchemaMembers) -> Bool { left.values == right.values }
    func hash(into hasher: inout Hasher) { hasher.combine(values) }
}

/// A JSON value of a schema: numbers are exact, and values are equal as JSON Schema says.
indirect enum SchemaValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    case number(DecimalNumber)
    case string(MemberName)
    case array([SchemaValue])
    case object(SchemaMembers)

    /// Parses a text.
    static func parse(_ text: String) throws(GrammarError) -> SchemaValue {
        let bytes = Array(text.utf8)
        let value: JSONValue
        do {
            value = try JSONParser.parse(bytes)
        } catch {
            throw GrammarError("the schema is not JSON: \(error)")
        }
        var numbers = NumberSpellings(bytes)
        return try SchemaValue(value, &numbers)
    }

    private init(_ value: JSONValue, _ numbers: inout NumberSpellings) throws(GrammarError) {
        switch value {
        case .null: self = .null
        case .bool(let flag): self = .boolean(flag)
        case .integer, .double: self = .number(try numbers.next())
        case .string(let text): self = .string(MemberName(text))
        case .array(let values):
            var items: [SchemaValue] = []
            for value in values { items.append(try SchemaValue(value, &numbers)) }
            self = .array(items)
        case .object(let members):
            var table = SchemaMembers()
            for member in members { table.set(try SchemaValue(member.value, &numbers), for: MemberName(member.key)) }
            self = .object(table)
        }
    }

    subscript(name: String) -> SchemaValue? {
        guard case .object(let members) = self else { return nil }
        return members[MemberName(name)]
    }

    var text: String? {
        guard case .string(let name) = self else { return nil }
        return name.text
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The numbers of a JSON text in order, as they are spelled: a parsed value has them only as near as a double comes.
private struct NumberSpellings {
    private let bytes: [UInt8]
    private var position = 0

    /// The numbers of a text that is known to be JSON.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func next() throws(GrammarError) -> DecimalNumber {
        var inString = false
        while position < bytes.count {
            let byte = bytes[position]
            if inString {
                if byte == UInt8(ascii: "\\") { position += 1 }
                if byte == UInt8(ascii: "\"") { inString = false }
            } else if byte == UInt8(ascii: "\"") {
                inString = true
            } else if byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte) {
                break
            }
            position += 1
        }
        let start = min(position, bytes.count)
        while position < bytes.count,
            [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains(bytes[position])
                || (0x30...0x39).contains(bytes[position])
        {
            position += 1
        }
        let spelling = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let number = DecimalNumber(spelling) else {
            throw GrammarError("the number \(spelling.prefix(40)) is too large, too small or too precise for a schema")
        }
        return number
    }
}
