/// Walks over the members of one JSON object or the elements of one array, by byte ranges, without building anything.
///
/// Strings and brackets are followed so that ranges are right; what stands inside of nested values is not judged.
/// Safe on any bytes: a malformed text ends the walk, and ``isWhole`` stays false.
struct JSONScanner {
    private let bytes: UnsafeRawBufferPointer
    private var position: Int
    private let end: Int
    private var closing: UInt8 = 0
    private var isFirst = true
    private var isClosed = false

    /// A scanner for the value at a range of the bytes.
    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>? = nil) {
        self.bytes = bytes
        position = range?.lowerBound ?? 0
        end = min(range?.upperBound ?? bytes.count, bytes.count)
    }

    /// Whether the value ended as it must, with nothing but space behind it.
    var isWhole: Bool {
        guard isClosed else { return false }
        var rest = self
        rest.skipSpace()
        return rest.position == end
    }

    /// Where the closing bracket stands; to be asked once the walk is over.
    var closingPosition: Int { position - 1 }

    /// Begins an object; false where there is none.
    mutating func openObject() -> Bool { open(UInt8(ascii: "{"), closing: UInt8(ascii: "}")) }

    /// Begins an array; false where there is none.
    mutating func openArray() -> Bool { open(UInt8(ascii: "["), closing: UInt8(ascii: "]")) }

    /// The next member: its key without the quotes, still escaped, and its value.
    mutating func nextMember() -> (key: Range<Int>, value: Range<Int>)? {
        guard advance(), let key = string() else { return nil }
        skipSpace()
        guard take(UInt8(ascii: ":")) else { return nil }
        skipSpace()
        guard let value = value() else { return nil }
        return (key.lowerBound + 1..<key.upperBound - 1, value)
    }

    /// The next element.
    mutating func nextElement() -> Range<Int>? {
        guard advance() else { return nil }
        return value()
    }

    private mutating func open(_ opening: UInt8, closing: UInt8) -> Bool {
        skipSpace()
        self.closing = closing
        return take(opening)
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < end, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func advance() -> Bool {
        guard !isClosed else { return false }
        skipSpace()
        if isFirst || !take(UInt8(ascii: ",")) {
            if take(closing) {
                isClosed = true
                return false
            }
            guard isFirst else { return false }
        }
        isFirst = false
        skipSpace()
        return true
    }

    private mutating func skipSpace() {
        while position < end {
            switch bytes[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func string() -> Range<Int>? {
        let start = position
        guard take(UInt8(ascii: "\"")) else { return nil }
        while position < end {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return start..<position
            case UInt8(ascii: "\\"): position += 2
            case 0..<0x20: return nil
            default: position += 1
            }
        }
        return nil
    }

    private mutating func value() -> Range<Int>? {
        guard position < end else { return nil }
        let start = position
        switch bytes[position] {
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            var depth = 0
            while position < end {
                switch bytes[position] {
                case UInt8(ascii: "\""): guard string() != nil else { return nil }
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    position += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    position += 1
                    if depth == 0 { return start..<position }
                default: position += 1
                }
            }
            return nil
        default:
            scalar: while position < end {
                switch bytes[position] {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2E: position += 1
                default: break scalar
                }
            }
            return position > start ? start..<position : nil
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether a range holds exactly this text.
    func holds(_ text: StaticString, at range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount, range.upperBound <= count else { return false }
        let start = text.utf8Start
        for (offset, index) in range.enumerated() where self[index] != start[offset] { return false }
        return true
    }

    /// Whether a range of a scanner is a string with something in it.
    func isText(at range: Range<Int>) -> Bool { range.count > 2 && self[range.lowerBound] == UInt8(ascii: "\"") }

    /// Whether a range of a scanner is a string, an object or an array with something in it, a number or `true`.
    func isSomething(at range: Range<Int>) -> Bool {
        switch self[range.lowerBound] {
        case UInt8(ascii: "\""): range.count > 2
        case UInt8(ascii: "["), UInt8(ascii: "{"): range.count > 2
        case UInt8(ascii: "n"), UInt8(ascii: "f"): false
        default: true
        }
    }
}
