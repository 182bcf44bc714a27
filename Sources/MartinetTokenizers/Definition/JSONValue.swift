/// A JSON value that keeps members in order and strings byte for byte.
///
/// Foundation's decoders put members into dictionaries of `String`, where tokens that are canonically equivalent
/// (composed and decomposed letters) would be one.
enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// Parses one JSON text (RFC 8259).
    init(parsing bytes: some Collection<UInt8>) throws(TokenizerError) {
        var parser = JSONParser(bytes: Array(bytes))
        self = try parser.parseDocument()
    }

    /// The last member of that name; `nil` for a missing one and for `null`.
    subscript(_ key: String) -> JSONValue? {
        guard case .object(let members) = self, let member = members.last(where: { $0.key == key }) else { return nil }
        if case .null = member.value { return nil }
        return member.value
    }

    var string: String? { if case .string(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    var members: [(key: String, value: JSONValue)]? { if case .object(let value) = self { value } else { nil } }
    /// A whole number of at most 2^53 in magnitude.
    var integer: Int? { if case .number(let value) = self { Int(exactly: value) } else { nil } }
}

private struct JSONParser {
    let bytes: [UInt8]
    var offset = 0
    static let depthLimit = 64

    init(bytes: [UInt8]) { self.bytes = bytes }

    func failure(_ what: String) -> TokenizerError {
        TokenizerError(.invalidJSON, "\(what) at byte \(offset)")
    }

    mutating func skipSpace() {
        while offset < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[offset]) { offset += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    mutating func parseDocument() throws(TokenizerError) -> JSONValue {
        let value = try parseValue(depth: 0)
        skipSpace()
        guard offset == bytes.count else { throw failure("something follows the value") }
        return value
    }

    mutating func parseValue(depth: Int) throws(TokenizerError) -> JSONValue {
        guard depth < Self.depthLimit else { throw failure("values are nested deeper than \(Self.depthLimit)") }
        skipSpace()
        guard offset < bytes.count else { throw failure("the text ends where a value should stand") }
        switch bytes[offset] {
        case UInt8(ascii: "{"): return try parseObject(depth)
        case UInt8(ascii: "["): return try parseArray(depth)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parse("true", .bool(true))
        case UInt8(ascii: "f"): return try parse("false", .bool(false))
        case UInt8(ascii: "n"): return try parse("null", .null)
        default: return try parseNumber()
        }
    }

    mutating func parse(_ word: StaticString, _ value: JSONValue) throws(TokenizerError) -> JSONValue {
        let text = word.description.utf8
        guard bytes[offset...].starts(with: text) else { throw failure("there is no value") }
        offset += text.count
        return value
    }

    mutating func parseNumber() throws(TokenizerError) -> JSONValue {
        let start = offset
        while offset < bytes.count, "+-.eE0123456789".utf8.contains(bytes[offset]) { offset += 1 }
        guard let number = Double(String(decoding: bytes[start..<offset], as: UTF8.self)), number.isFinite else {
            throw failure("there is no value")
        }
        return .number(number)
    }

    mutating func parseArray(_ depth: Int) throws(TokenizerError) -> JSONValue {
        offset += 1
        var values: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(values) }
        while true {
            values.append(try parseValue(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(values) }
            guard take(UInt8(ascii: ",")) else { throw failure("an array lacks a comma or its end") }
        }
    }

    mutating func parseObject(_ depth: Int) throws(TokenizerError) -> JSONValue {
        offset += 1
        var members: [(key: String, value: JSONValue)] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
                throw failure("a member lacks a name")
            }
            let key = try parseString()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("a member lacks a colon") }
            members.append((key, try parseValue(depth: depth + 1)))
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("an object lacks a comma or its end") }
        }
    }

    mutating func parseString() throws(TokenizerError) -> String {
        offset += 1
        let start = offset
        while offset < bytes.count, bytes[offset] != UInt8(ascii: "\""), bytes[offset] != UInt8(ascii: "\\") {
            offset += 1
        }
        if take(UInt8(ascii: "\"")) { return String(decoding: bytes[start..<offset - 1], as: UTF8.self) }
        var text = Array(bytes[start..<offset])
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard offset < bytes.count else { break }
            offset += 1
            switch bytes[offset - 1] {
            case UInt8(ascii: "n"): text.append(0x0a)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "r"): text.append(0x0d)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0c)
            case let plain where "\"\\/".utf8.contains(plain): text.append(plain)
            case UInt8(ascii: "u"): text.append(contentsOf: String(try parseEscape()).utf8)
            default: throw failure("a string has an unknown escape")
            }
        }
        throw failure("a string has no end")
    }

    mutating func parseEscape() throws(TokenizerError) -> Unicode.Scalar {
        let unit = try parseUnit()
        if let scalar = Unicode.Scalar(unit) { return scalar }
        guard unit < 0xdc00, bytes[offset...].starts(with: "\\u".utf8) else { return "\u{FFFD}" }
        offset += 2
        let low = try parseUnit()
        guard (0xdc00..<0xe000).contains(low) else { return "\u{FFFD}" }
        return Unicode.Scalar(0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)) ?? "\u{FFFD}"
    }

    mutating func parseUnit() throws(TokenizerError) -> UInt32 {
        guard offset + 4 <= bytes.count,
            let unit = UInt32(String(decoding: bytes[offset..<offset + 4], as: UTF8.self), radix: 16)
        else { throw failure("a string has a broken escape") }
        offset += 4
        return unit
    }
}
