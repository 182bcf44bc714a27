/// A JSON reader (RFC 8259) with a bound on nesting, whose memory is bounded by a small multiple of the input.
struct JSONParser {
    static let maxDepth = 128

    private let bytes: UnsafeRawBufferPointer
    private let uniqueKeys: Bool
    private var offset = 0

    init(bytes: UnsafeRawBufferPointer, uniqueKeys: Bool) {
        self.bytes = bytes
        self.uniqueKeys = uniqueKeys
    }

    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
        let value = try value(depth: 0)
        skipSpace()
        guard offset == bytes.count else { throw error("text after the end of the document") }
        return value
    }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private func error(_ message: String) -> JSONError { JSONError(message: message, offset: offset) }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.maxDepth else { throw error("nesting deeper than \(Self.maxDepth)") }
        skipSpace()
        switch next {
        case nil: throw error("unexpected end")
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        // Python writes these where a value is not finite, and configuration files do contain them.
        case UInt8(ascii: "N"): return try word("NaN", .double(.nan))
        case UInt8(ascii: "I"): return try word("Infinity", .double(.infinity))
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let end = offset + word.utf8CodeUnitCount
        let expected = UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard end <= bytes.count, bytes[offset..<end].elementsEqual(expected) else { throw error("unknown word") }
        offset = end
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if next == UInt8(ascii: "}") {
            offset += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw error("a key in quotation marks is missing") }
            let place = offset
            let key = try string()
            skipSpace()
            guard next == UInt8(ascii: ":") else { throw error("':' is missing") }
            offset += 1
            let value = try value(depth: depth + 1)
            if members.updateValue(value, forKey: key) != nil, uniqueKeys {
                throw JSONError(
                    message: "the key \(key.quotedForMessage) appears twice, the second time", offset: place)
            }
            skipSpace()
            switch next {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "}"):
                offset += 1
                return .object(members)
            default: throw error("',' or '}' is missing")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var elements: [JSONValue] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            offset += 1
            return .array(elements)
        }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            switch next {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "]"):
                offset += 1
                return .array(elements)
            default: throw error("',' or ']' is missing")
            }
        }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        var isWhole = true
        if next == UInt8(ascii: "-") {
            offset += 1
            if next == UInt8(ascii: "I") { return try word("Infinity", .double(-.infinity)) }
        }
        let first = next
        guard digits() > 0 else { throw error("a value is missing") }
        if first == UInt8(ascii: "0"), offset - start > (bytes[start] == UInt8(ascii: "-") ? 2 : 1) {
            throw JSONError(message: "a number with a leading zero", offset: start)
        }
        if next == UInt8(ascii: ".") {
            isWhole = false
            offset += 1
            guard digits() > 0 else { throw error("digits are missing after the point") }
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            isWhole = false
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            guard digits() > 0 else { throw error("digits are missing in the exponent") }
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isWhole, let value = Int(text) { return .int(value) }
        guard let value = Double(text) else { throw JSONError(message: "an unreadable number", offset: start) }
        return .double(value)
    }

    /// Skips digits and returns how many there were.
    private mutating func digits() -> Int {
        let start = offset
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        return offset - start
    }

    private mutating func string() throws(JSONError) -> String {
        offset += 1
        let start = offset
        // Most strings have no escapes and are taken whole.
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { offset += 1 }
        if next == UInt8(ascii: "\"") {
            let text = UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
            guard let string = String(validating: text, as: UTF8.self) else { throw invalidText(at: start) }
            offset += 1
            return string
        }
        var decoded = Array(bytes[start..<offset])
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                guard let string = String(validating: decoded, as: UTF8.self) else { throw invalidText(at: start) }
                return string
            case UInt8(ascii: "\\"):
                try escape(into: &decoded)
            case ..<0x20:
                throw error("a control character inside a string")
            default:
                decoded.append(byte)
                offset += 1
            }
        }
        throw error("a string without its end")
    }

    private func invalidText(at start: Int) -> JSONError {
        JSONError(message: "invalid UTF-8 in the string", offset: start)
    }

    private mutating func escape(into decoded: inout [UInt8]) throws(JSONError) {
        offset += 1
        guard let byte = next else { throw error("a string without its end") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): decoded.append(byte)
        case UInt8(ascii: "b"): decoded.append(0x08)
        case UInt8(ascii: "f"): decoded.append(0x0C)
        case UInt8(ascii: "n"): decoded.append(0x0A)
        case UInt8(ascii: "r"): decoded.append(0x0D)
        case UInt8(ascii: "t"): decoded.append(0x09)
        case UInt8(ascii: "u"):
            var value = try hexadecimal()
            if (0xD800...0xDBFF).contains(value), next == UInt8(ascii: "\\"), offset + 1 < bytes.count,
                bytes[offset + 1] == UInt8(ascii: "u")
            {
                let afterFirst = offset
                offset += 2
                let low = try hexadecimal()
                if (0xDC00...0xDFFF).contains(low) {
                    value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                } else {
                    offset = afterFirst
                }
            }
            // Half of a surrogate pair stands for no character.
            let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
            decoded.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default:
            offset -= 1
            throw error("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error("four hexadecimal digits are missing")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }
}
