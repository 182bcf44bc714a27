/// A piece of a template's source.
struct Token {
    enum Kind: Equatable {
        case data(Text)
        case variableBegin, variableEnd, blockBegin, blockEnd
        case name(Text)
        case string(Text)
        case integer(Int)
        case float(Double)
        case mark(Mark)
        case end
    }

    /// Operators and punctuation.
    enum Mark: String {
        case add = "+", subtract = "-", divide = "/", floorDivide = "//", multiply = "*", modulo = "%", power = "**"
        case tilde = "~", leftBracket = "[", rightBracket = "]", leftParenthesis = "(", rightParenthesis = ")"
        case leftBrace = "{", rightBrace = "}", equal = "==", notEqual = "!=", greater = ">", greaterOrEqual = ">="
        case less = "<", lessOrEqual = "<=", assign = "=", dot = ".", colon = ":", pipe = "|", comma = ","
        case semicolon = ";"
    }

    let kind: Kind
    let line: Int

    /// The token as a message shows it.
    var spelling: String {
        switch kind {
        case .data: "text"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .name(let name): "'\(name.string)'"
        case .string: "a string"
        case .integer(let value): "'\(value)'"
        case .float(let value): "'\(value)'"
        case .mark(let mark): "'\(mark.rawValue)'"
        case .end: "the end of the template"
        }
    }
}
