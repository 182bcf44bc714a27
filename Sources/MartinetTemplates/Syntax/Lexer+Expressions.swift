extension Lexer {
    /// Reads the inside of a tag, up to and with its end.
    mutating func readTag(isBlock: Bool) throws(TemplateError) {
        var open: [UInt8] = []
        let start = line
        while position < source.count {
            if open.isEmpty {
                if isBlock, let end = closing("%}", at: position) {
                    add(.blockEnd)
                    return move(to: end)
                }
                if !isBlock, matches("}}", at: position) {
                    add(.variableEnd)
                    return move(to: position + 2)
                }
                if !isBlock, matches("-}}", at: position) {
                    add(.variableEnd)
                    return move(to: skipSpace(position + 3))
                }
            }
            let (scalar, _) = Text.scalar(source, at: position)
            if scalar.isPythonSpace {
                move(to: skipSpace(position))
            } else if scalar.value < 0x80, (0x30...0x39).contains(scalar.value) {
                try readNumber()
            } else if scalar == "_" || scalar.properties.isXIDStart {
                let end = Text.skip(source, position..<source.count) { $0 == "_" || $0.properties.isXIDContinue }
                add(.name(Text(valid: source[position..<end])))
                move(to: end)
            } else if scalar == "'" || scalar == "\"" {
                try readString()
            } else {
                try readMark(&open)
            }
        }
        throw .syntax("a tag that begins here has no end '\(isBlock ? "%}" : "}}")'", line: start)
    }

    private mutating func readMark(_ open: inout [UInt8]) throws(TemplateError) {
        let byte = source[position]
        if position + 1 < source.count {
            let pair = String(decoding: source[position...(position + 1)], as: UTF8.self)
            if let mark = Token.Mark(rawValue: pair) {
                add(.mark(mark))
                return move(to: position + 2)
            }
        }
        guard byte < 0x80, let mark = Token.Mark(rawValue: String(UnicodeScalar(byte))) else {
            let scalar = Text.scalar(source, at: position).scalar
            throw .syntax("unexpected character '\(scalar)'", line: line)
        }
        switch mark {
        case .leftBrace: open.append(UInt8(ascii: "}"))
        case .leftBracket: open.append(UInt8(ascii: "]"))
        case .leftParenthesis: open.append(UInt8(ascii: ")"))
        case .rightBrace, .rightBracket, .rightParenthesis:
            guard open.popLast() == byte else { throw .syntax("unexpected '\(mark.rawValue)'", line: line) }
        default: break
        }
        add(.mark(mark))
        move(to: position + 1)
    }

    /// The end of digits with single underscores between them; `nil` when there are none.
    private func digits(_ start: Int, _ isDigit: (UInt8) -> Bool) -> Int? {
        var offset = start
        guard let first = byte(offset), isDigit(first) else { return nil }
        offset += 1
        while let next = byte(offset) {
            if isDigit(next) {
                offset += 1
            } else if next == UInt8(ascii: "_"), let after = byte(offset + 1), isDigit(after) {
                offset += 2
            } else {
                break
            }
        }
        return offset
    }

    private func spelling(_ end: Int) -> String {
        String(decoding: source[position..<end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    private mutating func readNumber() throws(TemplateError) {
        let decimal: (UInt8) -> Bool = { (0x30...0x39).contains($0) }
        if !(position > 0 && source[position - 1] == UInt8(ascii: ".")), let whole = digits(position, decimal) {
            var end = whole
            if byte(whole) == UInt8(ascii: "."), let fraction = digits(whole + 1, decimal) { end = fraction }
            if let mark = byte(end), mark | 0x20 == UInt8(ascii: "e") {
                var power = end + 1
                if let sign = byte(power), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { power += 1 }
                if let after = digits(power, decimal) { end = after }
            }
            if end > whole {
                add(.float(Double(spelling(end)) ?? .infinity))
                return move(to: end)
            }
        }
        var radix = 10
        var start = position
        var end = position + 1
        if source[position] == UInt8(ascii: "0") {
            let prefixes: [(UInt8, Int)] = [(UInt8(ascii: "b"), 2), (UInt8(ascii: "o"), 8), (UInt8(ascii: "x"), 16)]
            while let next = byte(end), next == UInt8(ascii: "0") || next == UInt8(ascii: "_") {
                guard next == UInt8(ascii: "0") || byte(end + 1) == UInt8(ascii: "0") else { break }
                end += 1
            }
            for (letter, base) in prefixes where byte(position + 1).map({ $0 | 0x20 }) == letter {
                let isDigit: (UInt8) -> Bool = { byte in
                    let value = Character(UnicodeScalar(byte)).hexDigitValue
                    return value.map { $0 < base } ?? false
                }
                let first = position + (byte(position + 2) == UInt8(ascii: "_") ? 3 : 2)
                if let last = digits(first, isDigit) {
                    (radix, start, end) = (base, position + 2, last)
                }
            }
        } else {
            end = digits(position, decimal) ?? end
        }
        let text = String(decoding: source[start..<end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        guard let value = Int(text, radix: radix) else {
            throw .syntax("the integer \(text.prefix(40)) does not fit in 64 bits", line: line)
        }
        add(.integer(value))
        move(to: end)
    }

    private mutating func readString() throws(TemplateError) {
        let quote = source[position]
        var end = position + 1
        while let byte = byte(end), byte != quote { end += byte == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < source.count else { throw .syntax("a string that begins here has no end", line: line) }
        var text = Text()
        var offset = position + 1
        while offset < end {
            let (scalar, length) = Text.scalar(source, at: offset)
            offset += length
            if scalar == "\\" {
                offset = try readEscape(offset, end, &text)
            } else {
                text.append(scalar)
            }
        }
        add(.string(text))
        move(to: end + 1)
    }

    /// Reads what follows a backslash as Python's `unicode-escape` does; returns the offset behind it.
    private func readEscape(_ start: Int, _ end: Int, _ text: inout Text) throws(TemplateError) -> Int {
        let (scalar, length) = Text.scalar(source, at: start)
        let after = start + length
        switch scalar {
        case "\n": return after
        case "\\", "'", "\"": text.append(scalar)
        case "a": text.append("\u{07}")
        case "b": text.append("\u{08}")
        case "f": text.append("\u{0C}")
        case "n": text.append("\n")
        case "r": text.append("\r")
        case "t": text.append("\t")
        case "v": text.append("\u{0B}")
        case "x": return try readCode(after, end, 2, &text)
        case "u": return try readCode(after, end, 4, &text)
        case "U": return try readCode(after, end, 8, &text)
        case "N": throw .syntax("character names (\\N) in strings are not supported", line: line)
        case "0"..."7":
            var value: UInt32 = 0
            var offset = start
            while offset < min(end, start + 3), (0x30...0x37).contains(source[offset]) {
                value = value * 8 + UInt32(source[offset] - 0x30)
                offset += 1
            }
            text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
            return offset
        default:
            text.append("\\")
            // Jinja2 escapes what is not ASCII before it reads escapes, so the pair comes out spelt in hexadecimal.
            if scalar.value < 0x80 {
                text.append(scalar)
            } else {
                let value = scalar.value
                let spelt =
                    value < 0x100
                    ? "x" + hexadecimal(value, 2)
                    : value < 0x10000 ? "u" + hexadecimal(value, 4) : "U" + hexadecimal(value, 8)
                text.append(Text(spelt))
            }
        }
        return after
    }

    private func readCode(_ start: Int, _ end: Int, _ digits: Int, _ text: inout Text) throws(TemplateError) -> Int {
        guard start + digits <= end else { throw .syntax("a truncated escape in a string", line: line) }
        var value: UInt32 = 0
        for byte in source[start..<(start + digits)] {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
                throw .syntax("a malformed escape in a string", line: line)
            }
            value = value << 4 | UInt32(digit)
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw .syntax("an escape in a string names no Unicode scalar", line: line)
        }
        text.append(scalar)
        return start + digits
    }
}
