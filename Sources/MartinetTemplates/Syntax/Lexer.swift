/// Cuts a template into tokens, with `trim_blocks` and `lstrip_blocks` as Jinja2 applies them.
///
/// The rules follow Jinja2's documentation ("Whitespace Control"): the newline after a block or comment tag goes away,
/// and so does white space between the start of a line and such a tag; `-` strips all white space on its side and `+`
/// keeps it.
struct Lexer {
    let source: [UInt8]
    var position = 0
    var line = 1
    var tokens: [Token] = []
    /// Whether the last thing read ended with a newline.
    private var startsLine = true

    private init(_ source: [UInt8]) { self.source = source }

    /// All tokens of a source, with an end token.
    static func tokens(of source: String) throws(TemplateError) -> [Token] {
        var normalized: [UInt8] = []
        normalized.reserveCapacity(source.utf8.count)
        var wasReturn = false
        for byte in source.utf8 {
            if byte == 0x0A, wasReturn {
                wasReturn = false
                continue
            }
            wasReturn = byte == 0x0D
            normalized.append(wasReturn ? 0x0A : byte)
        }
        if normalized.last == 0x0A { normalized.removeLast() }
        var lexer = Lexer(normalized)
        while lexer.position < lexer.source.count { try lexer.readData() }
        lexer.add(.end)
        return lexer.tokens
    }

    mutating func add(_ kind: Token.Kind) { tokens.append(Token(kind: kind, line: line)) }

    /// Moves on, counting lines.
    mutating func move(to target: Int) {
        for byte in source[position..<target] where byte == 0x0A { line += 1 }
        if target > position { startsLine = source[target - 1] == 0x0A }
        position = target
    }

    func byte(_ offset: Int) -> UInt8? { offset < source.count ? source[offset] : nil }

    func matches(_ text: StaticString, at offset: Int) -> Bool {
        text.withUTF8Buffer { text in
            offset + text.count <= source.count && source[offset..<(offset + text.count)].elementsEqual(text)
        }
    }

    func skipSpace(_ offset: Int) -> Int {
        Text.skip(source, offset..<source.count, while: \.isPythonSpace)
    }

    /// Reads text up to a tag, and the tag.
    private mutating func readData() throws(TemplateError) {
        var start = position
        while start < source.count {
            if source[start] == UInt8(ascii: "{"), let next = byte(start + 1),
                next == UInt8(ascii: "{") || next == UInt8(ascii: "%") || next == UInt8(ascii: "#")
            {
                break
            }
            start += 1
        }
        guard start < source.count else {
            addData(to: source.count)
            return move(to: source.count)
        }
        let kind = source[start + 1]
        let sign = byte(start + 2).flatMap { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") ? $0 : nil }
        let inside = start + 2 + (sign == nil ? 0 : 1)
        addData(to: stripped(start, sign, isVariable: kind == UInt8(ascii: "{")))
        move(to: start)
        switch kind {
        case UInt8(ascii: "#"):
            move(to: inside)
            try readComment()
        case UInt8(ascii: "%"):
            if let end = rawBegin(inside) {
                move(to: end)
                return try readRaw()
            }
            add(.blockBegin)
            move(to: inside)
            try readTag(isBlock: true)
        default:
            add(.variableBegin)
            move(to: inside)
            try readTag(isBlock: false)
        }
    }

    private mutating func addData(to end: Int) {
        if end > position { add(.data(Text(valid: source[position..<end]))) }
    }

    /// Where text that ends at `end`, in front of a tag with this sign, ends when stripped.
    private func stripped(_ end: Int, _ sign: UInt8?, isVariable: Bool) -> Int {
        if sign == UInt8(ascii: "-") {
            return Text.skipBack(source, position..<end, while: \.isPythonSpace)
        }
        guard sign == nil, !isVariable else { return end }
        let lineStart = source[position..<end].lastIndex(of: 0x0A).map { $0 + 1 } ?? position
        guard lineStart > position || startsLine else { return end }
        return skipSpace(lineStart) >= end ? lineStart : end
    }

    /// The end of a closing `%}` or `#}` (with its sign) at an offset; `nil` when there is none.
    func closing(_ mark: StaticString, at offset: Int) -> Int? {
        if byte(offset) == UInt8(ascii: "-"), matches(mark, at: offset + 1) { return skipSpace(offset + 3) }
        if byte(offset) == UInt8(ascii: "+"), matches(mark, at: offset + 1) { return offset + 3 }
        guard matches(mark, at: offset) else { return nil }
        return byte(offset + 2) == 0x0A ? offset + 3 : offset + 2
    }

    private mutating func readComment() throws(TemplateError) {
        var offset = position
        while offset < source.count {
            if let end = closing("#}", at: offset) { return move(to: end) }
            offset += 1
        }
        throw .syntax("a comment that begins here has no end '#}'", line: line)
    }

    private func rawBegin(_ inside: Int) -> Int? {
        let name = skipSpace(inside)
        guard matches("raw", at: name) else { return nil }
        let end = skipSpace(name + 3)
        if matches("-%}", at: end) { return skipSpace(end + 3) }
        return matches("%}", at: end) ? end + 2 : nil
    }

    private mutating func readRaw() throws(TemplateError) {
        var start = position
        while start < source.count {
            if matches("{%", at: start) {
                let sign = byte(start + 2).flatMap { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") ? $0 : nil }
                let name = skipSpace(start + 2 + (sign == nil ? 0 : 1))
                if matches("endraw", at: name), let end = closing("%}", at: skipSpace(name + 6)) {
                    addData(to: stripped(start, sign, isVariable: false))
                    return move(to: end)
                }
            }
            start += 1
        }
        throw .syntax("a raw block that begins here has no end", line: line)
    }
}
