internal import MartinetJSON

/// Turns a call's keyword arguments, `a=1, b="x"`, into a JSON object: literals of Python and of JSON, nested at most 64
/// deep. Numbers keep their spelling where JSON takes it.
struct PythonArguments {
    private static let maximumDepth = 64

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The object's text; `nil` where the arguments are no literals.
    mutating func object() -> [UInt8]? {
        var isValid = true
        var members: [(String, JSONValue)] = []
        skipSpace()
        while isValid, index < bytes.count {
            guard let key = identifier() else { return nil }
            skipSpace()
            guard take(UInt8(ascii: "=")), let value = value(depth: 0) else { return nil }
            members.append((key, value))
            skipSpace()
            isValid = index == bytes.count || take(UInt8(ascii: ","))
            skipSpace()
        }
        guard isValid, Set(members.map(\.0)).count == members.count else { return nil }
        var writer = JSONWriter()
        writer.object { writer in
            for (key, value) in members {
                writer.key(key)
                writer.value(value)
            }
        }
        return writer.bytes
    }

    private mutating func value(depth: Int) -> JSONValue? {
        skipSpace()
        guard depth < Self.maximumDepth, index < bytes.count else { return nil }
        switch bytes[index] {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return string().map(JSONValue.string)
        case UInt8(ascii: "["): return list(UInt8(ascii: "]"), depth: depth)
        case UInt8(ascii: "("): return list(UInt8(ascii: ")"), depth: depth)
        case UInt8(ascii: "{"): return dictionary(depth: depth)
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), 0x30...0x39: return number()
        default:
            switch identifier() {
            case "True", "true": return .bool(true)
            case "False", "false": return .bool(false)
            case "None", "null": return .null
            default: return nil
            }
        }
    }

    private mutating func list(_ end: UInt8, depth: Int) -> JSONValue? {
        index += 1
        var values: [JSONValue] = []
        while true {
            skipSpace()
            if take(end) { return .array(values) }
            guard let value = value(depth: depth + 1) else { return nil }
            values.append(value)
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            return take(end) ? .array(values) : nil
        }
    }

    private mutating func dictionary(depth: Int) -> JSONValue? {
        index += 1
        var members: [(key: String, value: JSONValue)] = []
        var keys: Set<String> = []
        while true {
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard let key = string(), keys.insert(key).inserted else { return nil }
            skipSpace()
            guard take(UInt8(ascii: ":")), let value = value(depth: depth + 1) else { return nil }
            members.append((key: key, value: value))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            return take(UInt8(ascii: "}")) ? .object(members) : nil
        }
    }

    private mutating func number() -> JSONValue? {
        let begin = index
        while index < bytes.count,
            bytes[index].isIdentifier || bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "_")
        {
            index += 1
        }
        let text = String(decoding: bytes[begin..<index].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        if let integer = Int(text) { return .integer(integer) }
        guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }), let number = Double(text), number.isFinite
        else { return nil }
        return .double(number)
    }

    private mutating func string() -> String? {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "'") else {
            return nil
        }
        let quote = bytes[index]
        index += 1
        var text: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == quote { return String(decoding: text, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard index < bytes.count, escape(into: &text) else { return nil }
        }
        return nil
    }

    /// Takes what stands behind a backslash.
    private mutating func escape(into text: inout [UInt8]) -> Bool {
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): text.append(byte)
        case 0x0A: break
        case UInt8(ascii: "x"): return codePoint(digits: 2, into: &text)
        case UInt8(ascii: "u"): return codePoint(digits: 4, into: &text)
        case UInt8(ascii: "U"): return codePoint(digits: 8, into: &text)
        default: text += [UInt8(ascii: "\\"), byte]
        }
        return true
    }

    private mutating func codePoint(digits: Int, into text: inout [UInt8]) -> Bool {
        guard index + digits <= bytes.count else { return false }
        let spelling = String(decoding: bytes[index..<(index + digits)], as: UTF8.self)
        guard let code = UInt32(spelling, radix: 16), let scalar = Unicode.Scalar(code) else { return false }
        index += digits
        text += Array(String(scalar).utf8)
        return true
    }

    private mutating func identifier() -> String? {
        let begin = index
        while index < bytes.count, bytes[index].isIdentifier, bytes[index] != UInt8(ascii: "-") { index += 1 }
        return index > begin ? String(decoding: bytes[begin..<index], as: UTF8.self) : nil
    }

    private mutating func skipSpace() {
        while index < bytes.count, bytes[index].isSpace { index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }
}
