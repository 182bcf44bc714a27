/// Reads GBNF, the notation of llama.cpp.
struct GBNFParser {
    private var reader: EBNFReader

    init(_ source: String) { reader = EBNFReader(source) }

    /// The rules, as they stand.
    mutating func rules() throws(GrammarError) -> [EBNFRule] {
        var rules: [EBNFRule] = []
        skipSpace(newlines: true)
        while reader.current != nil {
            let place = reader.place
            guard let name = name() else { throw reader.expected("the name of a rule") }
            skipSpace(newlines: false)
            guard reader.take("::=") else { throw reader.expected("`::=`") }
            skipSpace(newlines: true)
            let expression = try alternatives(depth: 0)
            if reader.current != nil, !atNewline { throw reader.expected("the end of the rule") }
            rules.append(EBNFRule(name: name, place: place, expression: expression))
            skipSpace(newlines: true)
        }
        return rules
    }

    private var atNewline: Bool { reader.current == "\n" || reader.current == "\r" }

    private mutating func name() -> String? {
        let name = reader.take { Self.isNamePart($0) }
        return name.isEmpty ? nil : name
    }

    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_": true
        default: false
        }
    }

    /// Skips blanks and comments, and line ends where a rule goes on over them.
    private mutating func skipSpace(newlines: Bool) {
        while let scalar = reader.current {
            switch scalar {
            case " ", "\t": reader.advance()
            case "\n", "\r":
                guard newlines else { return }
                reader.advance()
            case "#": _ = reader.take { $0 != "\n" && $0 != "\r" }
            default: return
            }
        }
    }

    private mutating func alternatives(depth: Int) throws(GrammarError) -> EBNFExpression {
        guard depth <= EBNFReader.depthLimit else {
            throw GrammarError(
                "parentheses may be nested \(EBNFReader.depthLimit) deep; use rules", at: reader.place.description)
        }
        var options = [try sequence(depth: depth)]
        while reader.take("|") {
            skipSpace(newlines: true)
            options.append(try sequence(depth: depth))
        }
        return options.count == 1 ? options[0] : .choice(options)
    }

    private mutating func sequence(depth: Int) throws(GrammarError) -> EBNFExpression {
        var parts: [EBNFExpression] = []
        while let part = try element(depth: depth) {
            parts.append(try repeated(part, depth: depth))
            skipSpace(newlines: depth > 0)
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func element(depth: Int) throws(GrammarError) -> EBNFExpression? {
        switch reader.current {
        case "\"":
            reader.advance()
            return try literal()
        case "[":
            reader.advance()
            return .scalars(try scalars())
        case ".":
            reader.advance()
            return .scalars(.all)
        case "(":
            reader.advance()
            skipSpace(newlines: true)
            let inner = try alternatives(depth: depth + 1)
            guard reader.take(")") else { throw reader.expected("`)`") }
            return inner
        case "<", "!":
            throw GrammarError(
                "tokens cannot be named in a grammar; write their text", at: reader.place.description)
        default:
            let place = reader.place
            return name().map { .rule($0, at: place) }
        }
    }

    private mutating func repeated(_ part: EBNFExpression, depth: Int) throws(GrammarError) -> EBNFExpression {
        var part = part
        var count = 0
        while true {
            skipSpace(newlines: depth > 0)
            let place = reader.place
            switch reader.current {
            case "*": part = .repetition(part, minimum: 0, maximum: nil)
            case "+": part = .repetition(part, minimum: 1, maximum: nil)
            case "?": part = .repetition(part, minimum: 0, maximum: 1)
            case "{":
                reader.advance()
                skipSpace(newlines: false)
                let minimum = reader.current == "," ? 0 : try reader.number()
                var maximum: Int? = minimum
                skipSpace(newlines: false)
                if reader.take(",") {
                    skipSpace(newlines: false)
                    maximum = reader.current == "}" ? nil : try reader.number()
                    skipSpace(newlines: false)
                }
                guard reader.current == "}" else { throw reader.expected("`}`") }
                guard minimum <= maximum ?? minimum else {
                    throw GrammarError("the bounds of a repetition must be in order", at: place.description)
                }
                part = .repetition(part, minimum: minimum, maximum: maximum)
            default: return part
            }
            reader.advance()
            count += 1
            guard count <= EBNFReader.depthLimit else {
                throw GrammarError("too many repetitions of a repetition", at: place.description)
            }
        }
    }

    private mutating func literal() throws(GrammarError) -> EBNFExpression {
        var text = String.UnicodeScalarView()
        while let scalar = reader.current {
            if scalar == "\"" {
                reader.advance()
                return .text(Array(String(text).utf8))
            }
            text.append(try self.scalar())
        }
        throw reader.expected("`\"`, which ends the text")
    }

    private mutating func scalars() throws(GrammarError) -> ScalarRanges {
        let isNegated = reader.take("^")
        var ranges: [ClosedRange<UInt32>] = []
        let start = reader.mark
        while let scalar = reader.current {
            if scalar == "]" {
                reader.advance()
                let result = isNegated ? ScalarRanges(ranges).inverted : ScalarRanges(ranges)
                guard !result.ranges.isEmpty else {
                    throw GrammarError("this class holds no character", at: reader.place(at: start).description)
                }
                return result
            }
            let mark = reader.mark
            let first = try self.scalar()
            if reader.current == "-", reader.peek(1) != "]" {
                reader.advance()
                guard reader.current != nil else { break }
                let last = try self.scalar()
                guard first <= last else {
                    throw GrammarError(
                        "the ends of a range must be in order", at: reader.place(at: mark).description)
                }
                ranges.append(first.value...last.value)
            } else {
                ranges.append(first.value...first.value)
            }
        }
        throw reader.expected("`]`, which ends the class")
    }

    /// One scalar of a text or class, written as it is or escaped.
    private mutating func scalar() throws(GrammarError) -> Unicode.Scalar {
        if reader.take("\\") { return try reader.escape() }
        guard let scalar = reader.current else { throw reader.expected("a character") }
        reader.advance()
        return scalar
    }
}
