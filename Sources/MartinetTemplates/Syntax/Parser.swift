/// Reads tokens into statements.
struct Parser {
    private let tokens: [Token]
    private var position = 0
    private let limits: TemplateLimits
    private let stack: NativeStack
    private var depth = 0
    /// Operators that lengthened an expression to the left since the statement began: they deepen the tree unseen.
    private var chained = 0
    private static let longestChain = 1000
    /// Variables by name, numbered in order of appearance.
    private(set) var names: [Text]
    private var numbers: [Text: Int] = [:]
    /// Loops around the statement being read, for `break`.
    var loops = 0
    /// Which of `caller`, `varargs` and `kwargs` the macro being read speaks of.
    var mentioned: Set<Int> = []

    init(_ tokens: [Token], limits: TemplateLimits) {
        self.tokens = tokens
        self.limits = limits
        stack = NativeStack(bytes: limits.stackBytes)
        names = WellKnown.names
        for (number, name) in names.enumerated() { numbers[name] = number }
    }

    var current: Token { tokens[position] }
    var line: Int { tokens[position].line }
    var next: Token { tokens[min(position + 1, tokens.count - 1)] }

    @discardableResult
    mutating func advance() -> Token {
        defer { if position < tokens.count - 1 { position += 1 } }
        return tokens[position]
    }

    func fail(_ message: String) -> TemplateError { .syntax(message, line: line) }
    func unexpected(_ wanted: String) -> TemplateError {
        .syntax("expected \(wanted), found \(current.spelling)", line: line)
    }

    func isName(_ name: StaticString) -> Bool {
        if case .name(let text) = current.kind { text == name } else { false }
    }
    func isMark(_ mark: Token.Mark) -> Bool { current.kind == .mark(mark) }

    mutating func skip(_ mark: Token.Mark) -> Bool {
        guard isMark(mark) else { return false }
        advance()
        return true
    }
    mutating func skip(name: StaticString) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }
    mutating func expect(_ mark: Token.Mark) throws(TemplateError) {
        guard skip(mark) else { throw unexpected("'\(mark.rawValue)'") }
    }
    mutating func expect(name: StaticString) throws(TemplateError) {
        guard skip(name: name) else { throw unexpected("'\(name)'") }
    }
    mutating func expectName() throws(TemplateError) -> Text {
        guard case .name(let name) = current.kind else { throw unexpected("a name") }
        advance()
        return name
    }
    mutating func expectBlockEnd() throws(TemplateError) {
        guard current.kind == .blockEnd else { throw unexpected("'%}'") }
        advance()
    }

    mutating func number(of name: Text) -> Int {
        if let number = numbers[name] {
            if number <= WellKnown.kwargs { mentioned.insert(number) }
            return number
        }
        numbers[name] = names.count
        names.append(name)
        return names.count - 1
    }

    /// Enters nested source; every call is paired with ``leave(_:)`` unless reading fails.
    mutating func enter(_ levels: Int) throws(TemplateError) {
        depth += levels
        if depth > limits.depth { throw TemplateError.limit("depth", limits.depth).at(line) }
        if stack.isExhausted { throw TemplateError.limit("stackBytes", limits.stackBytes).at(line) }
    }
    mutating func leave(_ levels: Int) { depth -= levels }

    mutating func lengthen() throws(TemplateError) {
        chained += 1
        if chained > Self.longestChain {
            throw TemplateError.limit("operators in one statement", Self.longestChain).at(line)
        }
    }

    /// The whole template.
    mutating func parseTemplate() throws(TemplateError) -> [Statement] {
        let statements = try parseBody(until: [])
        guard current.kind == .end else { throw unexpected("the end of the template") }
        return statements
    }

    /// Statements up to a tag with one of these names, which is left to be read; its `{%` is taken.
    mutating func parseBody(until ends: [StaticString]) throws(TemplateError) -> [Statement] {
        try enter(3)
        defer { leave(3) }
        var statements: [Statement] = []
        while true {
            chained = 0
            let line = line
            switch current.kind {
            case .data(let text):
                advance()
                statements.append(Statement(kind: .text(text), line: line))
            case .variableBegin:
                advance()
                let value = try parseTuple()
                guard current.kind == .variableEnd else { throw unexpected("'}}'") }
                advance()
                statements.append(Statement(kind: .output(value), line: line))
            case .blockBegin:
                advance()
                if ends.contains(where: isName) { return statements }
                try statements.append(contentsOf: parseStatement())
                try expectBlockEnd()
            case .end:
                guard ends.isEmpty else {
                    throw fail(
                        "the template ends where a tag '\(ends.map { "\($0)" }.joined(separator: "' or '"))' is due")
                }
                return statements
            default: throw unexpected("text or a tag")
            }
        }
    }

    /// The body of a statement: a `%}`, then statements up to a tag with one of these names.
    mutating func parseBlock(until ends: [StaticString]) throws(TemplateError) -> [Statement] {
        _ = skip(.colon)
        try expectBlockEnd()
        return try parseBody(until: ends)
    }
}

extension TemplateError {
    /// The error with a line, unless it has one.
    func at(_ line: Int) -> TemplateError {
        var error = self
        if error.line == nil { error.line = line }
        return error
    }
}
