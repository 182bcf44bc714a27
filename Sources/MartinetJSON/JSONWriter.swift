/// Appends JSON to a byte buffer: no intermediate values, no reflection.
///
/// Commas are the caller's where it writes raw text; ``object(_:)``, ``array(_:)`` and ``field(_:_:)-swift.method`` place
/// them themselves.
public struct JSONWriter: Sendable {
    /// What was written.
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// An empty writer.
    public init() {}

    /// Forgets what was written and keeps the room.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// Appends text as it is, with no comma before or after.
    public mutating func raw(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        needsComma = false
    }

    /// Appends bytes as they are.
    public mutating func raw(_ part: [UInt8]) {
        bytes.append(contentsOf: part)
        needsComma = false
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    /// Writes an object whose members the closure writes.
    public mutating func object(_ members: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        members(&self)
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }

    /// Writes an array whose elements the closure writes.
    public mutating func array(_ elements: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "["))
        needsComma = false
        elements(&self)
        bytes.append(UInt8(ascii: "]"))
        needsComma = true
    }

    /// Writes a member's key; its value must follow.
    public mutating func key(_ name: String) {
        separate()
        appendString(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a member whose value the closure writes.
    public mutating func field(_ name: String, _ value: (inout JSONWriter) -> Void) {
        key(name)
        value(&self)
    }

    /// Writes a member, `null` where the text is absent.
    public mutating func field(_ name: String, _ text: String?) {
        key(name)
        value(text)
    }

    /// Writes a member, `null` where the number is absent.
    public mutating func field(_ name: String, _ number: Int?) {
        key(name)
        value(number)
    }

    /// Writes a member that is true or false.
    public mutating func field(_ name: String, _ flag: Bool) {
        key(name)
        separate()
        bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    }

    /// Writes a member that is an array of integers.
    public mutating func field(_ name: String, _ numbers: some Sequence<Int32>) {
        key(name)
        array { writer in
            for number in numbers { writer.value(Int(number)) }
        }
    }

    /// Writes a string, `null` where absent.
    public mutating func value(_ text: String?) {
        separate()
        if let text { appendString(text) } else { bytes.append(contentsOf: "null".utf8) }
    }

    /// Writes an integer, `null` where absent.
    public mutating func value(_ number: Int?) {
        separate()
        guard let number else {
            bytes.append(contentsOf: "null".utf8)
            return
        }
        bytes.append(contentsOf: String(number).utf8)
    }

    /// Writes a number; what JSON cannot express becomes the nearest that it can (infinities) or `null` (not a number).
    public mutating func value(_ number: Double) {
        separate()
        if number.isNaN {
            bytes.append(contentsOf: "null".utf8)
        } else if number.isInfinite {
            bytes.append(contentsOf: (number < 0 ? "-1e308" : "1e308").utf8)
        } else {
            bytes.append(contentsOf: "\(number)".utf8)
        }
    }

    /// Writes a number in as few digits as give it back; what JSON cannot express as of a double.
    public mutating func value(_ number: Float) {
        guard number.isFinite else { return value(Double(number)) }
        separate()
        bytes.append(contentsOf: "\(number)".utf8)
    }

    /// Writes a parsed value.
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: self.value(nil as String?)
        case .bool(let flag):
            separate()
            bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .integer(let number): self.value(number)
        case .double(let number): self.value(number)
        case .string(let text): self.value(text)
        case .array(let values): array { writer in for value in values { writer.value(value) } }
        case .object(let members):
            object { writer in
                for member in members {
                    writer.key(member.key)
                    writer.value(member.value)
                }
            }
        }
    }

    private mutating func appendString(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        appendEscaped(text)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends a string's characters, escaped, without quotes.
    public mutating func appendEscaped(_ text: String) {
        var text = text
        text.withUTF8 { buffer in
            var start = 0
            for index in buffer.indices {
                let byte = buffer[index]
                guard byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F else { continue }
                bytes.append(contentsOf: buffer[start..<index])
                start = index + 1
                bytes.append(0x5C)
                switch byte {
                case 0x22, 0x5C: bytes.append(byte)
                case 0x08: bytes.append(UInt8(ascii: "b"))
                case 0x09: bytes.append(UInt8(ascii: "t"))
                case 0x0A: bytes.append(UInt8(ascii: "n"))
                case 0x0C: bytes.append(UInt8(ascii: "f"))
                case 0x0D: bytes.append(UInt8(ascii: "r"))
                default:
                    bytes.append(contentsOf: [UInt8(ascii: "u"), 0x30, 0x30])
                    for digit in [byte >> 4, byte & 15] { bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
                }
            }
            bytes.append(contentsOf: buffer[start..<buffer.count])
        }
    }
}
