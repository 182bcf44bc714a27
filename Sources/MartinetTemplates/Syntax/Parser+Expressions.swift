extension Parser {
    /// An expression, or several with commas between them, which make a tuple.
    mutating func parseTuple(
        withConditional: Bool = true, endsWithRecursive: Bool = false, inParentheses: Bool = false
    ) throws(TemplateError) -> Expression {
        var members: [Expression] = []
        var isTuple = false
        while !isTupleEnd(endsWithRecursive) {
            members.append(withConditional ? try parseExpression() : try parseBinary(1))
            guard skip(.comma) else { break }
            isTuple = true
        }
        if !isTuple {
            if members.count == 1 { return members[0] }
            guard inParentheses else { throw unexpected("an expression") }
        }
        return .tuple(members)
    }

    private func isTupleEnd(_ endsWithRecursive: Bool) -> Bool {
        switch current.kind {
        case .variableEnd, .blockEnd, .mark(.rightParenthesis), .end: true
        default: endsWithRecursive && isName("recursive")
        }
    }

    /// One expression, with `… if … else …`.
    mutating func parseExpression() throws(TemplateError) -> Expression {
        try enter(3)
        defer { leave(3) }
        var expression = try parseBinary(1)
        while skip(name: "if") {
            try lengthen()
            let test = try parseBinary(1)
            let otherwise = skip(name: "else") ? try parseExpression() : nil
            expression = .conditional(test: test, then: expression, otherwise: otherwise)
        }
        return expression
    }

    /// Operators, by Jinja2's levels: 1 or, 2 and, 3 not, 4 comparisons, 5 sums, 6 `~`, 7 products, 8 powers.
    ///
    /// All of them group to the left, the power too.
    mutating func parseBinary(_ lowest: Int) throws(TemplateError) -> Expression {
        var left: Expression
        if lowest <= 3, isName("not") {
            advance()
            try enter(1)
            left = .not(try parseBinary(3))
            leave(1)
        } else {
            left = try parseUnary()
        }
        while let level = binaryLevel, level >= lowest {
            try lengthen()
            switch level {
            case 1:
                advance()
                left = .or(left, try parseBinary(2))
            case 2:
                advance()
                left = .and(left, try parseBinary(3))
            case 4:
                var comparisons: [(comparison: Expression.Comparison, operand: Expression)] = []
                while let comparison = takeComparison() { comparisons.append((comparison, try parseBinary(5))) }
                left = .compare(left, comparisons)
            case 6:
                var parts = [left]
                while skip(.tilde) { parts.append(try parseBinary(7)) }
                left = .concatenation(parts)
            default:
                guard let binary = takeOperator() else { return left }
                left = .binary(binary, left, try parseBinary(level + 1))
            }
        }
        return left
    }

    private var binaryLevel: Int? {
        switch current.kind {
        case .name(let name):
            if name == "or" { return 1 }
            if name == "and" { return 2 }
            if name == "in" { return 4 }
            if name == "not", case .name(let after) = next.kind, after == "in" { return 4 }
            return nil
        case .mark(let mark):
            switch mark {
            case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: return 4
            case .add, .subtract: return 5
            case .tilde: return 6
            case .multiply, .divide, .floorDivide, .modulo: return 7
            case .power: return 8
            default: return nil
            }
        default: return nil
        }
    }

    private mutating func takeOperator() -> Expression.BinaryOperator? {
        guard case .mark(let mark) = advance().kind else { return nil }
        switch mark {
        case .add: return .add
        case .subtract: return .subtract
        case .multiply: return .multiply
        case .divide: return .divide
        case .floorDivide: return .floorDivide
        case .modulo: return .modulo
        case .power: return .power
        default: return nil
        }
    }

    private mutating func takeComparison() -> Expression.Comparison? {
        guard binaryLevel == 4 else { return nil }
        switch advance().kind {
        case .name(let name):
            if name == "in" { return .within }
            advance()
            return .notWithin
        case .mark(.equal): return .equal
        case .mark(.notEqual): return .notEqual
        case .mark(.less): return .less
        case .mark(.lessOrEqual): return .lessOrEqual
        case .mark(.greater): return .greater
        default: return .greaterOrEqual
        }
    }

    private mutating func parseUnary(withFilters: Bool = true) throws(TemplateError) -> Expression {
        var expression: Expression
        if isMark(.subtract) || isMark(.add) {
            let isNegative = isMark(.subtract)
            advance()
            try enter(1)
            let operand = try parseUnary(withFilters: false)
            leave(1)
            expression = isNegative ? .negative(operand) : .positive(operand)
        } else {
            expression = try parsePrimary()
        }
        expression = try parsePostfix(expression)
        guard withFilters else { return expression }
        while true {
            if isMark(.pipe) {
                expression = try parseFilters(expression)
            } else if isName("is") {
                try lengthen()
                expression = try parseTest(expression)
            } else if isMark(.leftParenthesis) {
                try lengthen()
                expression = .call(expression, try parseArguments())
            } else {
                return expression
            }
        }
    }

    private mutating func parsePrimary() throws(TemplateError) -> Expression {
        switch current.kind {
        case .name(let name):
            advance()
            switch name.string {
            case "true", "True": return .bool(true)
            case "false", "False": return .bool(false)
            case "none", "None": return .none
            default: return .name(number(of: name), name)
            }
        case .string(var text):
            advance()
            while case .string(let more) = current.kind {
                text.append(more)
                advance()
            }
            return .string(text)
        case .integer(let value):
            advance()
            return .int(value)
        case .float(let value):
            advance()
            return .float(value)
        case .mark(.leftParenthesis):
            advance()
            let tuple = try parseTuple(inParentheses: true)
            try expect(.rightParenthesis)
            return tuple
        case .mark(.leftBracket):
            advance()
            var members: [Expression] = []
            while !isMark(.rightBracket) {
                members.append(try parseExpression())
                if !isMark(.rightBracket) { try expect(.comma) }
            }
            advance()
            return .list(members)
        case .mark(.leftBrace):
            advance()
            var members: [(key: Expression, value: Expression)] = []
            while !isMark(.rightBrace) {
                let key = try parseExpression()
                try expect(.colon)
                members.append((key, try parseExpression()))
                if !isMark(.rightBrace) { try expect(.comma) }
            }
            advance()
            return .dict(members)
        default: throw unexpected("an expression")
        }
    }

    private mutating func parsePostfix(_ base: Expression) throws(TemplateError) -> Expression {
        var expression = base
        while true {
            switch current.kind {
            case .mark(.dot):
                advance()
                switch advance().kind {
                case .name(let name): expression = .attribute(expression, name, Method(rawValue: name.string))
                case .integer(let index): expression = .subscripted(expression, .int(index))
                default: throw fail("expected a name or a number behind '.'")
                }
            case .mark(.leftBracket):
                advance()
                expression = try parseSubscript(expression)
            case .mark(.leftParenthesis): expression = .call(expression, try parseArguments())
            default: return expression
            }
            try lengthen()
        }
    }

    private mutating func parseSubscript(_ base: Expression) throws(TemplateError) -> Expression {
        var members: [Expression] = []
        while !isMark(.rightBracket) {
            if !members.isEmpty {
                try expect(.comma)
                if isMark(.colon) { throw fail("a slice stands alone between its brackets") }
            }
            let start = isMark(.colon) ? nil : try parseExpression()
            if isMark(.colon) {
                guard members.isEmpty else { throw fail("a slice stands alone between its brackets") }
                advance()
                let stop = isMark(.colon) || isMark(.rightBracket) ? nil : try parseExpression()
                let step = skip(.colon) && !isMark(.rightBracket) ? try parseExpression() : nil
                try expect(.rightBracket)
                return .slice(base, start: start, stop: stop, step: step)
            }
            if let start { members.append(start) }
        }
        advance()
        return .subscripted(base, members.count == 1 ? members[0] : .tuple(members))
    }

    private mutating func parseArguments() throws(TemplateError) -> Expression.Arguments {
        var arguments = Expression.Arguments()
        try expect(.leftParenthesis)
        var isFirst = true
        while !isMark(.rightParenthesis) {
            if !isFirst {
                try expect(.comma)
                if isMark(.rightParenthesis) { break }
            }
            isFirst = false
            let isPlain = arguments.spread == nil && arguments.keywordSpread == nil
            if isMark(.multiply) {
                guard isPlain else { throw fail("malformed arguments of a call") }
                advance()
                arguments.spread = try parseExpression()
            } else if isMark(.power) {
                guard arguments.keywordSpread == nil else { throw fail("malformed arguments of a call") }
                advance()
                arguments.keywordSpread = try parseExpression()
            } else if case .name(let name) = current.kind, next.kind == .mark(.assign) {
                guard arguments.keywordSpread == nil else { throw fail("malformed arguments of a call") }
                guard !arguments.keywords.contains(where: { $0.name == name }) else {
                    throw fail("the argument '\(name.string)' is given twice")
                }
                advance()
                advance()
                arguments.keywords.append((name, try parseExpression()))
            } else {
                guard isPlain, arguments.keywords.isEmpty else { throw fail("malformed arguments of a call") }
                arguments.positional.append(try parseExpression())
            }
        }
        try expect(.rightParenthesis)
        return arguments
    }

    private mutating func parseDottedName() throws(TemplateError) -> Text {
        var name = try expectName()
        while skip(.dot) {
            name.append(ascii: ".")
            name.append(try expectName())
        }
        return name
    }

    /// Filters behind a value; `startsInside` when the first one has no `|`.
    mutating func parseFilters(
        _ base: Expression, startsInside: Bool = false
    ) throws(TemplateError) -> Expression {
        var expression = base
        var isInside = startsInside
        while isInside || isMark(.pipe) {
            try lengthen()
            if !isInside { advance() }
            isInside = false
            let name = try parseDottedName()
            let arguments = isMark(.leftParenthesis) ? try parseArguments() : Expression.Arguments()
            expression = .filter(expression, Filter(name: name), name: name, arguments)
        }
        return expression
    }

    private mutating func parseTest(_ value: Expression) throws(TemplateError) -> Expression {
        advance()
        let isNegated = skip(name: "not")
        let name = try parseDottedName()
        var arguments = Expression.Arguments()
        switch current.kind {
        case .mark(.leftParenthesis): arguments = try parseArguments()
        case .name(let word):
            if word == "else" || word == "or" || word == "and" { break }
            guard !(word == "is") else { throw fail("tests cannot be chained with 'is'") }
            arguments.positional = [try parsePostfix(try parsePrimary())]
        case .string, .integer, .float, .mark(.leftBracket), .mark(.leftBrace):
            arguments.positional = [try parsePostfix(try parsePrimary())]
        default: break
        }
        let test = Expression.test(value, Test(name: name), name: name, arguments)
        return isNegated ? .not(test) : test
    }
}
