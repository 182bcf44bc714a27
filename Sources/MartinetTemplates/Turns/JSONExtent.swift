/// Finds the end of a JSON value byte by byte. It checks no more than what it needs for that.
struct JSONExtent: Sendable {
    enum Step {
        /// The byte belongs to the value, which goes on.
        case inside
        /// The byte is the value's last.
        case last
        /// The byte does not belong to the value any more.
        case beyond
    }

    private enum Kind { case none, string, nested, other }

    private var kind = Kind.none
    private var depth = 0
    private var isInString = false
    private var isEscaped = false

    mutating func step(_ byte: UInt8) -> Step {
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
                return depth == 0 ? .last : .inside
            }
            return .inside
        }
        switch byte {
        case UInt8(ascii: "\""):
            guard depth > 0 || kind == .none else { return .beyond }
            if kind == .none { kind = .string }
            isInString = true
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard depth > 0 || kind == .none else { return .beyond }
            kind = .nested
            depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            guard depth > 0 else { return .beyond }
            depth -= 1
            return depth == 0 ? .last : .inside
        // No JSON has this outside of strings, but a marker may begin with it.
        case UInt8(ascii: "<"): return .beyond
        case UInt8(ascii: ","), 0x20, 0x0A, 0x0D, 0x09:
            guard depth > 0 else { return .beyond }
        default: if kind == .none { kind = .other }
        }
        return .inside
    }
}
