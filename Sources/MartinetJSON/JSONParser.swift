/// Why a text is not JSON, and at which byte.
public struct JSONSyntaxError: Error, Sendable, CustomStringConvertible {
    /// What was wrong.
    public var problem: String
    /// The byte offset at which it was found.
    public var offset: Int

    /// The problem and its place.
    public var description: String { "\(problem) at byte \(offset)" }
}

/// A strict JSON parser (RFC 8259) for input from anywhere.
///
/// Beyond the grammar it refuses what makes documents ambiguous or expensive: invalid UTF-8, lone surrogates, keys that
/// repeat, numbers beyond a double's range, nesting deeper than ``maximumDepth``, more than ``maximumValues`` values. Time
/// and memory are linear in the input's length.
public struct JSONParser {
    /// How deep arrays and objects may nest.
    public static let maximumDepth = 64
    /// The longest spelling of a number.
    public static let maximumNumberLength = 256

    /// How many values a document may hold: `[[],[],…]` takes twelve times its length in memory.
    public static let maximumValues = 2_000_000

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var valueCount = 0

    private init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
    }

    /// Parses a whole document.
    public static func parse(_ bytes: [UInt8]) throws(JSONSyntaxError) -> JSONValue {
        let result: Result<JSONValue, JSONSyntaxError> = bytes.withUnsafeBufferPointer { buffer in
            var parser = JSONParser(buffer)
            do throws(JSONSyntaxError) {
                return .success(try parser.document())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private mutating func document() throws(JSONSyntaxError) -> JSONValue {
        skipSpace()
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw problem("characters after the document's end") }
        return value
    }

    private func problem(_ text: String, at offset: Int? = nil) -> JSONSyntaxError {
        JSONSyntaxError(problem: text, offset: offset ?? position)
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
    }

    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        valueCount += 1
        guard valueCount <= Self.maximumValues else { throw problem("more than \(Self.maximumValues) values") }
        guard position < bytes.count else { throw problem("the document ends early") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw problem("no JSON value starts with this character")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        let length = word.utf8CodeUnitCount
        guard bytes.count - position >= length else { throw problem("the document ends early") }
        for index in 0..<length where bytes[position + index] != word.utf8Start[index] {
            throw problem("no JSON value has this name")
        }
        position += length
        return value
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        guard depth <= Self.maximumDepth else { throw problem("nesting is deeper than \(Self.maximumDepth)") }
        position += 1
        var values: [JSONValue] = []
        skipSpace()
        if position < bytes.count, bytes[position] == UInt8(ascii: "]") {
            position += 1
            return .array(values)
        }
        while true {
            skipSpace()
            values.append(try value(depth: depth))
            skipSpace()
            guard position < bytes.count else { throw problem("the document ends inside an array") }
            position += 1
            switch bytes[position - 1] {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "]"): return .array(values)
            default: throw problem("an array needs `,` or `]` here", at: position - 1)
            }
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        guard depth <= Self.maximumDepth else { throw problem("nesting is deeper than \(Self.maximumDepth)") }
        position += 1
        var members: [(key: String, value: JSONValue)] = []
        var seen: Set<String> = []
        skipSpace()
        if position < bytes.count, bytes[position] == UInt8(ascii: "}") {
            position += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
                throw problem("an object needs a key in quotes here")
            }
            let start = position
            let key = try string()
            guard seen.insert(key).inserted else {
                throw problem("the key \"\(key.prefix(64))\" stands twice in one object", at: start)
            }
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else {
                throw problem("an object needs `:` after a key")
            }
            position += 1
            skipSpace()
            members.append((key: key, value: try value(depth: depth)))
            skipSpace()
            guard position < bytes.count else { throw problem("the document ends inside an object") }
            position += 1
            switch bytes[position - 1] {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "}"): return .object(members)
            default: throw problem("an object needs `,` or `}` here", at: position - 1)
            }
        }
    }

    private mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = position
        var integral = true
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        guard position < bytes.count, isDigit(bytes[position]) else { throw problem("a number needs a digit here") }
        if bytes[position] == UInt8(ascii: "0") { position += 1 } else { skipDigits() }
        if position < bytes.count, isDigit(bytes[position]) { throw problem("a number must not start with 0") }
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            integral = false
            position += 1
            guard position < bytes.count, isDigit(bytes[position]) else { throw problem("a number needs a digit here") }
            skipDigits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            integral = false
            position += 1
            if position < bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[position]) {
                position += 1
            }
            guard position < bytes.count, isDigit(bytes[position]) else { throw problem("a number needs a digit here") }
            skipDigits()
        }
        guard position - start <= Self.maximumNumberLength else {
            throw problem("a number is longer than \(Self.maximumNumberLength) characters", at: start)
        }
        let spelling = String(decoding: bytes[start..<position], as: UTF8.self)
        if integral, let value = Int(spelling) { return .integer(value) }
        guard let value = Double(spelling), value.isFinite else {
            throw problem("a number is too large", at: start)
        }
        return .double(value)
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private mutating func skipDigits() {
        while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    }

    private mutating func string() throws(JSONSyntaxError) -> String {
        let opening = position
        position += 1
        var start = position
        var text = ""
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                try append(start..<position, to: &text)
                position += 1
                return text
            }
            guard byte >= 0x20 else { throw problem("a control character inside a string must be escaped") }
            guard byte == UInt8(ascii: "\\") else {
                position += 1
                continue
            }
            try append(start..<position, to: &text)
            position += 1
            text.unicodeScalars.append(try escape())
            start = position
        }
        throw problem("a string does not end", at: opening)
    }

    private func append(_ range: Range<Int>, to text: inout String) throws(JSONSyntaxError) {
        guard !range.isEmpty else { return }
        guard let part = String(validating: bytes[range], as: UTF8.self) else {
            throw problem("a string is not valid UTF-8", at: range.lowerBound)
        }
        if text.isEmpty { text = part } else { text += part }
    }

    private mutating func escape() throws(JSONSyntaxError) -> Unicode.Scalar {
        guard position < bytes.count else { throw problem("a string does not end") }
        let letter = bytes[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let start = position - 2
            let unit = try hexadecimal()
            if let scalar = Unicode.Scalar(unit) { return scalar }
            // A high surrogate counts only with its low half behind it.
            guard unit < 0xDC00, bytes.count - position >= 2, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            else { throw problem("a string holds half a surrogate pair", at: start) }
            position += 2
            let low = try hexadecimal()
            guard (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
            else { throw problem("a string holds half a surrogate pair", at: start) }
            return scalar
        default: throw problem("a string holds an unknown escape", at: position - 2)
        }
    }

    private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
        guard bytes.count - position >= 4 else { throw problem("an escape needs four hexadecimal digits") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = bytes[position]
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x41 + 10
            case 0x61...0x66: digit = byte - 0x61 + 10
            default: throw problem("an escape needs four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
