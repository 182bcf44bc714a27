/// A parser of regular expressions as ECMA-262 writes them, with its `u` flag: what JSON Schema's `pattern` means.
///
/// Texts are matched by scalars. What is not regular is refused: back-references and lookbehind. Spellings that only other
/// dialects know (`\A`, `\Z`, `(?i)`, possessive quantifiers) are refused, too.
package struct RegularExpressionParser {
    private static let maximumDepth = 64
    private static let maximumLength = 16_384

    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0

    private init(_ pattern: String) {
        scalars = Array(pattern.unicodeScalars)
    }

    /// Parses a pattern.
    package static func parse(_ pattern: String) throws(GrammarError) -> RegularExpression {
        var parser = RegularExpressionParser(pattern)
        guard parser.scalars.count <= maximumLength else {
            throw GrammarError("a regular expression is longer than \(maximumLength) characters")
        }
        let expression = try parser.alternation()
        guard parser.position == parser.scalars.count else { throw parser.problem("`)` closes no group") }
        return expression
    }

    private func problem(_ text: String) -> GrammarError {
        let pattern = String(String.UnicodeScalarView(scalars.prefix(80)))
        return GrammarError("the regular expression \"\(pattern)\" is not supported: \(text), at character \(position)")
    }

    private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard current == scalar else { return false }
        position += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        guard scalars[position...].starts(with: text.unicodeScalars) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private mutating func alternation() throws(GrammarError) -> RegularExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { throw problem("groups nest deeper than \(Self.maximumDepth)") }
        var branches = [try sequence()]
        while take("|" as Unicode.Scalar) { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    private mutating func sequence() throws(GrammarError) -> RegularExpression {
        var parts: [RegularExpression] = []
        while let scalar = current, scalar != "|", scalar != ")" { parts.append(try term()) }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func term() throws(GrammarError) -> RegularExpression {
        let part = try atom()
        guard let (minimum, maximum) = try quantifier() else { return part }
        switch part {
        case .assertion, .lookahead: throw problem("an assertion cannot be repeated")
        default: return .repetition(part, minimum: minimum, maximum: maximum)
        }
    }

    private mutating func atom() throws(GrammarError) -> RegularExpression {
        guard let scalar = current else { return .empty }
        position += 1
        switch scalar {
        case "^": return .assertion(.start)
        case "$": return .assertion(.end)
        case ".": return .set(ScalarSet.lineEnds.inverted)
        case "(": return try group()
        case "[": return .set(try characterClass())
        case "\\": return try escape()
        case "*", "+", "?": throw problem("a quantifier has nothing to repeat")
        default: return .set(ScalarSet(scalar))
        }
    }

    private mutating func group() throws(GrammarError) -> RegularExpression {
        var lookahead: Bool?
        if take("?" as Unicode.Scalar) {
            if take("=" as Unicode.Scalar) {
                lookahead = false
            } else if take("!" as Unicode.Scalar) {
                lookahead = true
            } else if take("<=") || take("<!") {
                throw problem("lookbehind")
            } else if take("<" as Unicode.Scalar) {
                while let scalar = current, scalar != ">" {
                    guard scalar == "$" || scalar == "_" || scalar.properties.isIDContinue else { break }
                    position += 1
                }
                guard take(">" as Unicode.Scalar) else { throw problem("a group's name must end with `>`") }
            } else if !take(":" as Unicode.Scalar) {
                throw problem("this kind of group")
            }
        }
        let inner = try alternation()
        guard take(")" as Unicode.Scalar) else { throw problem("a group is not closed") }
        return lookahead.map { .lookahead(inner, negated: $0) } ?? inner
    }

    /// How often what stands before is to be repeated; `nil` where no quantifier stands.
    private mutating func quantifier() throws(GrammarError) -> (Int, Int?)? {
        let bounds: (Int, Int?)
        if take("*" as Unicode.Scalar) {
            bounds = (0, nil)
        } else if take("+" as Unicode.Scalar) {
            bounds = (1, nil)
        } else if take("?" as Unicode.Scalar) {
            bounds = (0, 1)
        } else if let braces = braces() {
            bounds = braces
        } else {
            return nil
        }
        // Which match is found first does not matter for a language.
        _ = take("?" as Unicode.Scalar)
        if current == "*" || current == "+" || current == "?" { throw problem("a quantifier follows another") }
        if let maximum = bounds.1, maximum < bounds.0 { throw problem("a quantifier's bounds are out of order") }
        return bounds
    }

    /// `{2}`, `{2,}` or `{2,5}`; anything else in braces is plain text.
    private mutating func braces() -> (Int, Int?)? {
        let start = position
        guard take("{" as Unicode.Scalar), let minimum = number() else {
            position = start
            return nil
        }
        var maximum: Int? = minimum
        if take("," as Unicode.Scalar) { maximum = number() }
        guard take("}" as Unicode.Scalar) else {
            position = start
            return nil
        }
        return (minimum, maximum)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let scalar = current, ScalarSet.digits.ranges[0].contains(scalar.value) {
            // Any bound this large is refused when the automaton is built.
            value = min((value ?? 0) * 10 + Int(scalar.value - 0x30), 10_000_000)
            position += 1
        }
        return value
    }

    private mutating func escape() throws(GrammarError) -> RegularExpression {
        if take("b" as Unicode.Scalar) { return .assertion(.wordBoundary) }
        if take("B" as Unicode.Scalar) { return .assertion(.noWordBoundary) }
        return .set(try escapedSet())
    }

    /// What stands behind a backslash, where it is one scalar or a class of them.
    private mutating func escapedSet() throws(GrammarError) -> ScalarSet {
        guard let scalar = current else { throw problem("a backslash ends it") }
        position += 1
        switch scalar {
        case "d": return .digits
        case "D": return ScalarSet.digits.inverted
        case "w": return .wordCharacters
        case "W": return ScalarSet.wordCharacters.inverted
        case "s": return .whitespace
        case "S": return ScalarSet.whitespace.inverted
        case "p", "P": return try property(negated: scalar == "P")
        case "t": return ScalarSet("\t")
        case "n": return ScalarSet("\n")
        case "v": return ScalarSet("\u{B}")
        case "f": return ScalarSet("\u{C}")
        case "r": return ScalarSet("\r")
        case "0":
            if let digit = current, ScalarSet.digits.ranges[0].contains(digit.value) {
                throw problem("an octal escape")
            }
            return ScalarSet("\0")
        case "1"..."9", "k": throw problem("a back-reference")
        case "c":
            guard let letter = current, letter.isASCII, letter.properties.isAlphabetic else {
                throw problem("`\\c` needs a letter")
            }
            position += 1
            return ScalarSet([letter.value % 32...letter.value % 32])
        case "x": return ScalarSet(try hexadecimal(digits: 2))
        case "u": return ScalarSet(try unicodeEscape())
        default:
            guard scalar == "_" || !scalar.properties.isIDContinue else { throw problem("the escape `\\\(scalar)`") }
            return ScalarSet(scalar)
        }
    }

    private mutating func unicodeEscape() throws(GrammarError) -> Unicode.Scalar {
        if take("{" as Unicode.Scalar) {
            var value: UInt32 = 0
            let start = position
            while let scalar = current, let digit = Character(scalar).hexDigitValue, scalar.isASCII, value <= 0x10FFFF {
                value = value << 4 | UInt32(digit)
                position += 1
            }
            guard position > start, take("}" as Unicode.Scalar), let scalar = Unicode.Scalar(value) else {
                throw problem("`\\u{…}` needs a code point")
            }
            return scalar
        }
        let unit = try hexadecimalValue(digits: 4)
        if (0xD800...0xDBFF).contains(unit), take("\\u") {
            let low = try hexadecimalValue(digits: 4)
            if (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
            {
                return scalar
            }
        }
        guard let scalar = Unicode.Scalar(unit) else { throw problem("half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal(digits: Int) throws(GrammarError) -> Unicode.Scalar {
        Unicode.Scalar(UInt8(truncatingIfNeeded: try hexadecimalValue(digits: digits)))
    }

    private mutating func hexadecimalValue(digits: Int) throws(GrammarError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let scalar = current, scalar.isASCII, let digit = Character(scalar).hexDigitValue else {
                throw problem("an escape needs \(digits) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private mutating func property(negated: Bool) throws(GrammarError) -> ScalarSet {
        guard take("{" as Unicode.Scalar) else { throw problem("`\\p` needs a name in braces") }
        var name = ""
        while let scalar = current, scalar != "}" {
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}" as Unicode.Scalar) else { throw problem("a property's name must end with `}`") }
        guard let set = UnicodeProperty.set(named: name) else { throw problem("the Unicode property \(name)") }
        return negated ? set.inverted : set
    }

    private mutating func characterClass() throws(GrammarError) -> ScalarSet {
        let negated = take("^" as Unicode.Scalar)
        var set = ScalarSet([])
        while !take("]" as Unicode.Scalar) {
            let low = try classAtom()
            if current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" {
                position += 1
                let high = try classAtom()
                guard low.count == 1, high.count == 1 else { throw problem("a class stands in a range") }
                let (first, last) = (low.ranges[0].lowerBound, high.ranges[0].lowerBound)
                guard first <= last else { throw problem("a range is out of order") }
                set = set.union(ScalarSet([first...last]))
            } else {
                set = set.union(low)
            }
        }
        return negated ? set.inverted : set
    }

    private mutating func classAtom() throws(GrammarError) -> ScalarSet {
        guard let scalar = current else { throw problem("a class is not closed") }
        position += 1
        guard scalar == "\\" else { return ScalarSet(scalar) }
        if take("b" as Unicode.Scalar) { return ScalarSet("\u{8}") }
        if take("-" as Unicode.Scalar) { return ScalarSet("-") }
        return try escapedSet()
    }
}
