/// Reads grammars in the form of Lark: rules and terminals alike are rules, read without a scanner of their own.
struct LarkParser {
    private var reader: EBNFReader
    private var read: [EBNFRule] = []
    private var importsCommon = false

    init(_ source: String) { reader = EBNFReader(source) }

    /// The rules, as they stand, and those that are imported.
    mutating func rules() throws(GrammarError) -> [EBNFRule] {
        skipSpace(newlines: true)
        while reader.current != nil {
            if reader.current == "%" { try statement() } else { try definition() }
            skipSpace(newlines: false)
            if reader.current != nil, !atNewline { throw reader.expected("the end of the definition") }
            skipSpace(newlines: true)
        }
        return importsCommon ? read + (try LarkCommon.rules()) : read
    }

    private var atNewline: Bool { reader.current == "\n" || reader.current == "\r" }

    private func atComment() -> Bool {
        reader.current == "#" || (reader.current == "/" && reader.peek(1) == "/")
    }

    private mutating func skipSpace(newlines: Bool) {
        while let scalar = reader.current {
            if scalar == " " || scalar == "\t" || (newlines && atNewline) {
                reader.advance()
            } else if atComment() {
                _ = reader.take { $0 != "\n" && $0 != "\r" }
            } else {
                return
            }
        }
    }

    private mutating func name() -> String? {
        let name = reader.take { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": true
            default: false
            }
        }
        return name.isEmpty ? nil : name
    }

    // MARK: - Statements

    private mutating func statement() throws(GrammarError) {
        let place = reader.place
        reader.advance()
        switch name() ?? "" {
        case "import": try importCommon()
        case "ignore":
            throw GrammarError(
                "`%ignore` is not supported: write where blanks may stand, such as `WS?`", at: place.description)
        case let other:
            throw GrammarError("`%\(other)` is not supported; only `%import common.NAME` is", at: place.description)
        }
    }

    private mutating func importCommon() throws(GrammarError) {
        skipSpace(newlines: false)
        guard reader.take("common") else {
            throw reader.expected("`common`, the one library that can be imported from")
        }
        if reader.take(".") {
            let place = reader.place
            guard let name = name() else { throw reader.expected("the name of a terminal") }
            skipSpace(newlines: false)
            var alias = name
            if reader.take("->") {
                skipSpace(newlines: false)
                guard let given = self.name() else { throw reader.expected("a name") }
                alias = given
            }
            try add(common: name, as: alias, at: place)
            return
        }
        skipSpace(newlines: false)
        guard reader.take("(") else { throw reader.expected("`.` or `(`") }
        repeat {
            skipSpace(newlines: true)
            let place = reader.place
            guard let name = name() else { throw reader.expected("the name of a terminal") }
            try add(common: name, as: name, at: place)
            skipSpace(newlines: true)
        } while reader.take(",")
        guard reader.take(")") else { throw reader.expected("`)`") }
    }

    private mutating func add(common name: String, as alias: String, at place: EBNFPlace) throws(GrammarError) {
        guard LarkCommon.names.contains(name) else {
            throw GrammarError(
                "the library has no `\(name)`; it has \(LarkCommon.names.sorted().joined(separator: ", "))",
                at: place.description)
        }
        importsCommon = true
        read.append(EBNFRule(name: alias, place: place, expression: .rule(LarkCommon.prefix + name, at: place)))
    }

    private mutating func definition() throws(GrammarError) {
        let place = reader.place
        _ = reader.take("?") || reader.take("!")
        guard let name = name() else { throw reader.expected("the name of a rule or terminal") }
        if reader.current == "{" {
            throw GrammarError("rules with parameters are not supported; write each out", at: reader.place.description)
        }
        // A priority chooses among parse trees; here there are none.
        if reader.take(".") { _ = try reader.number() }
        skipSpace(newlines: false)
        guard reader.take(":") else { throw reader.expected("`:`") }
        let expression = try alternatives(depth: 0)
        read.append(EBNFRule(name: name, place: place, expression: expression))
    }

    // MARK: - Expressions

    private mutating func alternatives(depth: Int) throws(GrammarError) -> EBNFExpression {
        guard depth <= EBNFReader.depthLimit else {
            throw GrammarError(
                "parentheses may be nested \(EBNFReader.depthLimit) deep; use rules", at: reader.place.description)
        }
        skipSpace(newlines: depth > 0 || barFollows())
        // A first bar may stand before all alternatives.
        if depth == 0, reader.take("|") { skipSpace(newlines: false) }
        var options = [try sequence(depth: depth)]
        while true {
            if depth > 0 || barFollows() { skipSpace(newlines: true) }
            guard reader.take("|") else { break }
            skipSpace(newlines: depth > 0)
            options.append(try sequence(depth: depth))
        }
        return options.count == 1 ? options[0] : .choice(options)
    }

    /// Whether the next thing, over line ends, is a bar, so that the definition goes on.
    private mutating func barFollows() -> Bool {
        let mark = reader.mark
        skipSpace(newlines: true)
        let result = reader.current == "|"
        reader.mark = mark
        return result
    }

    private mutating func sequence(depth: Int) throws(GrammarError) -> EBNFExpression {
        var parts: [EBNFExpression] = []
        skipSpace(newlines: depth > 0)
        while let part = try element(depth: depth) {
            parts.append(try repeated(part))
            skipSpace(newlines: depth > 0)
        }
        if reader.take("->") {
            skipSpace(newlines: false)
            guard name() != nil else { throw reader.expected("a name") }
            skipSpace(newlines: depth > 0)
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func element(depth: Int) throws(GrammarError) -> EBNFExpression? {
        switch reader.current {
        case "\"": return try textOrRange()
        case "/": return atComment() ? nil : try regularExpression()
        case "(", "[":
            let isOptional = reader.current == "["
            reader.advance()
            let inner = try alternatives(depth: depth + 1)
            guard reader.take(isOptional ? "]" : ")") else { throw reader.expected(isOptional ? "`]`" : "`)`") }
            return isOptional ? .repetition(inner, minimum: 0, maximum: 1) : inner
        case "<", "@":
            throw GrammarError("tokens cannot be named in a grammar; write their text", at: reader.place.description)
        default:
            let place = reader.place
            return name().map { .rule($0, at: place) }
        }
    }

    private mutating func repeated(_ part: EBNFExpression) throws(GrammarError) -> EBNFExpression {
        switch reader.current {
        case "*":
            reader.advance()
            return .repetition(part, minimum: 0, maximum: nil)
        case "+":
            reader.advance()
            return .repetition(part, minimum: 1, maximum: nil)
        case "?":
            reader.advance()
            return .repetition(part, minimum: 0, maximum: 1)
        default: break
        }
        let mark = reader.mark
        skipSpace(newlines: false)
        guard reader.take("~") else {
            reader.mark = mark
            return part
        }
        skipSpace(newlines: false)
        let place = reader.place
        let minimum = try reader.number()
        var maximum = minimum
        skipSpace(newlines: false)
        if reader.take("..") {
            skipSpace(newlines: false)
            maximum = try reader.number()
        }
        guard minimum <= maximum else {
            throw GrammarError("the bounds of a repetition must be in order", at: place.description)
        }
        return .repetition(part, minimum: minimum, maximum: maximum)
    }

    private mutating func textOrRange() throws(GrammarError) -> EBNFExpression {
        let start = reader.mark
        let text = try self.text()
        if reader.take("..") {
            guard reader.current == "\"" else { throw reader.expected("`\"`, for the end of the range") }
            let other = try self.text()
            guard let first = text.first, let last = other.first, text.count == 1, other.count == 1, first <= last
            else {
                throw GrammarError(
                    "a range goes from one character up to another", at: reader.place(at: start).description)
            }
            return .scalars(ScalarRanges([first.value...last.value]))
        }
        guard reader.take("i") else {
            var view = String.UnicodeScalarView()
            view.append(contentsOf: text)
            return .text(Array(String(view).utf8))
        }
        let parts = text.map { scalar -> EBNFExpression in
            // Those that have a counterpart of one scalar.
            let cases = [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping]
                .filter { $0.unicodeScalars.count == 1 }.flatMap { $0.unicodeScalars }
            return .scalars(ScalarRanges(([scalar] + cases).map { $0.value...$0.value }))
        }
        return .sequence(parts)
    }

    private mutating func text() throws(GrammarError) -> [Unicode.Scalar] {
        reader.advance()
        var text: [Unicode.Scalar] = []
        while let scalar = reader.current, scalar != "\n" {
            reader.advance()
            if scalar == "\"" { return text }
            text.append(scalar == "\\" ? try reader.escape() : scalar)
        }
        throw reader.expected("`\"`, which ends the text")
    }

    private mutating func regularExpression() throws(GrammarError) -> EBNFExpression {
        let start = reader.mark
        reader.advance()
        var pattern = String.UnicodeScalarView()
        while let scalar = reader.current, scalar != "\n" {
            reader.advance()
            if scalar == "/" {
                let place = reader.place(at: start)
                let flags = reader.take { ("a"..."z").contains($0) }
                guard flags.allSatisfy({ "su".contains($0) }) else {
                    throw GrammarError(
                        "the flags `\(flags)` are not supported; only `s` and `u` are", at: place.description)
                }
                return .node(try Self.node(String(pattern), isDotAll: flags.contains("s"), at: place))
            }
            // A slash is escaped for Lark's sake alone.
            if scalar == "\\", let next = reader.current, next != "\n" {
                reader.advance()
                if next != "/" { pattern.append(scalar) }
                pattern.append(next)
            } else {
                pattern.append(scalar)
            }
        }
        throw reader.expected("`/`, which ends the regular expression")
    }

    private static func node(
        _ pattern: String, isDotAll: Bool, at place: EBNFPlace
    ) throws(GrammarError) -> GrammarNode {
        do {
            return try RegularLowering.node(regex: isDotAll ? matchingLineEnds(pattern) : pattern)
        } catch {
            throw GrammarError("the regular expression cannot be used: \(error)", at: place.description)
        }
    }

    /// A pattern whose dots match line ends as well.
    private static func matchingLineEnds(_ pattern: String) -> String {
        var result = String.UnicodeScalarView()
        var isEscaped = false
        var isInClass = false
        for scalar in pattern.unicodeScalars {
            if scalar == ".", !isEscaped, !isInClass {
                result.append(contentsOf: "[^]".unicodeScalars)
                continue
            }
            if !isEscaped { isInClass = scalar == "[" || (isInClass && scalar != "]") }
            isEscaped = scalar == "\\" && !isEscaped
            result.append(scalar)
        }
        return String(result)
    }
}
