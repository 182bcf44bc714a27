/// An expression of a template.
indirect enum Expression: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(Text)
    /// A variable: its number in the template, and its name.
    case name(Int, Text)
    case tuple([Expression])
    case list([Expression])
    case dict([(key: Expression, value: Expression)])
    /// An attribute, and the method that Python's own types have under that name.
    case attribute(Expression, Text, Method?)
    case subscripted(Expression, Expression)
    case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
    case call(Expression, Arguments)
    case filter(Expression, Filter?, name: Text, Arguments)
    case test(Expression, Test?, name: Text, Arguments)
    case binary(BinaryOperator, Expression, Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case not(Expression)
    case negative(Expression)
    case positive(Expression)
    case compare(Expression, [(comparison: Comparison, operand: Expression)])
    case concatenation([Expression])
    case conditional(test: Expression, then: Expression, otherwise: Expression?)
    /// What the enclosing `set` or `filter` block rendered.
    case captured

    enum BinaryOperator: Sendable { case add, subtract, multiply, divide, floorDivide, modulo, power }
    enum Comparison: Sendable { case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, within, notWithin }

    struct Arguments: Sendable {
        var positional: [Expression] = []
        var keywords: [(name: Text, value: Expression)] = []
        var spread: Expression?
        var keywordSpread: Expression?

        var isEmpty: Bool { positional.isEmpty && keywords.isEmpty && spread == nil && keywordSpread == nil }
    }
}

/// What `set` and `for` assign to.
indirect enum Target: Sendable {
    case name(Int, Text)
    case attribute(Int, Text, attribute: Text)
    case tuple([Target])
}

/// A statement and where it stands.
struct Statement: Sendable {
    let kind: Kind
    let line: Int

    indirect enum Kind: Sendable {
        case text(Text)
        case output(Expression)
        case set(Target, Expression)
        case capture(Target, Expression, [Statement])
        case condition([(test: Expression, body: [Statement])], otherwise: [Statement])
        case loop(LoopDefinition)
        case macro(MacroDefinition)
        case callBlock(Expression, MacroDefinition)
        case filterBlock(Expression, [Statement])
        case with([(target: Target, value: Expression)], [Statement])
        case scope([Statement])
        case breakLoop
        case continueLoop
    }
}

/// A `for` statement.
final class LoopDefinition: Sendable {
    let target: Target
    let iterable: Expression
    let test: Expression?
    let isRecursive: Bool
    let body: [Statement]
    let otherwise: [Statement]

    init(
        target: Target, iterable: Expression, test: Expression?, isRecursive: Bool, body: [Statement],
        otherwise: [Statement]
    ) {
        self.target = target
        self.iterable = iterable
        self.test = test
        self.isRecursive = isRecursive
        self.body = body
        self.otherwise = otherwise
    }
}

/// A `macro` statement, or the body of a `call` block.
final class MacroDefinition: Sendable {
    struct Parameter: Sendable {
        let variable: Int
        let name: Text
        let fallback: Expression?
    }

    let name: Text
    let variable: Int
    let parameters: [Parameter]
    let body: [Statement]
    /// Whether the body speaks of `varargs`, `kwargs` and `caller`: only then may a call pass them.
    let takesPositional: Bool, takesKeywords: Bool, takesCaller: Bool

    init(
        name: Text, variable: Int, parameters: [Parameter], body: [Statement], takesPositional: Bool,
        takesKeywords: Bool, takesCaller: Bool
    ) {
        self.name = name
        self.variable = variable
        self.parameters = parameters
        self.body = body
        self.takesPositional = takesPositional
        self.takesKeywords = takesKeywords
        self.takesCaller = takesCaller
    }
}

/// Variables that every template has a number for.
enum WellKnown {
    static let loop = 0, caller = 1, varargs = 2, kwargs = 3
    static let names: [Text] = [Text("loop"), Text("caller"), Text("varargs"), Text("kwargs")]
}
