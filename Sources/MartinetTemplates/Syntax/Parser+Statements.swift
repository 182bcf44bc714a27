extension Parser {
    /// One statement, behind its `{%` and up to its `%}`.
    mutating func parseStatement() throws(TemplateError) -> [Statement] {
        let line = line
        guard case .name(let name) = current.kind else { throw unexpected("the name of a tag") }
        let kind: Statement.Kind
        switch name.string {
        case "set": kind = try parseSet()
        case "if": kind = try parseIf()
        case "for": kind = try parseFor()
        case "macro": kind = try parseMacro()
        case "call": kind = try parseCallBlock()
        case "filter": kind = try parseFilterBlock()
        case "with": kind = try parseWith()
        case "generation":
            advance()
            kind = .scope(try parseDetached(until: "endgeneration"))
        case "print": return try parsePrint()
        case "break", "continue":
            guard loops > 0 else { throw fail("'\(name.string)' stands outside a loop") }
            advance()
            kind = name == "break" ? .breakLoop : .continueLoop
        case "include", "import", "from", "extends", "block":
            throw TemplateError(
                code: .unsupported,
                message: "the tag '\(name.string)' is not supported: a chat template is one file", line: line)
        case "autoescape":
            throw TemplateError(
                code: .unsupported, message: "the tag 'autoescape' is not supported: prompts are not HTML", line: line)
        default: throw fail("unknown tag '\(name.string)'")
        }
        return [Statement(kind: kind, line: line)]
    }

    /// A body that is a function of its own: no `break` reaches out of it.
    private mutating func parseDetached(until end: StaticString) throws(TemplateError) -> [Statement] {
        let outer = loops
        loops = 0
        defer { loops = outer }
        let body = try parseBlock(until: [end])
        advance()
        return body
    }

    private mutating func parseSet() throws(TemplateError) -> Statement.Kind {
        advance()
        let target = try parseTarget(withAttributes: true)
        if skip(.assign) { return .set(target, try parseTuple()) }
        let filters = try parseFilters(.captured)
        let body = try parseBlock(until: ["endset"])
        advance()
        return .capture(target, filters, body)
    }

    private mutating func parseIf() throws(TemplateError) -> Statement.Kind {
        advance()
        var branches: [(test: Expression, body: [Statement])] = []
        while true {
            let test = try parseTuple(withConditional: false)
            branches.append((test, try parseBlock(until: ["elif", "else", "endif"])))
            if skip(name: "elif") { continue }
            if skip(name: "else") {
                let otherwise = try parseBlock(until: ["endif"])
                advance()
                return .condition(branches, otherwise: otherwise)
            }
            advance()
            return .condition(branches, otherwise: [])
        }
    }

    private mutating func parseFor() throws(TemplateError) -> Statement.Kind {
        advance()
        let target = try parseTarget(endsWithIn: true)
        try expect(name: "in")
        let iterable = try parseTuple(withConditional: false, endsWithRecursive: true)
        let test = skip(name: "if") ? try parseExpression() : nil
        let isRecursive = skip(name: "recursive")
        loops += 1
        let body = try parseBlock(until: ["endfor", "else"])
        loops -= 1
        var otherwise: [Statement] = []
        if skip(name: "else") {
            otherwise = try parseBlock(until: ["endfor"])
        }
        advance()
        return .loop(
            LoopDefinition(
                target: target, iterable: iterable, test: test, isRecursive: isRecursive, body: body,
                otherwise: otherwise))
    }

    private mutating func parseSignature() throws(TemplateError) -> [MacroDefinition.Parameter] {
        var parameters: [MacroDefinition.Parameter] = []
        try expect(.leftParenthesis)
        while !isMark(.rightParenthesis) {
            if !parameters.isEmpty { try expect(.comma) }
            let name = try parseTargetName()
            var fallback: Expression?
            if skip(.assign) {
                fallback = try parseExpression()
            } else if parameters.last?.fallback != nil {
                throw fail("parameter '\(name.string)' without a default follows one with a default")
            }
            guard !parameters.contains(where: { $0.name == name }) else {
                throw fail("parameter '\(name.string)' is named twice")
            }
            parameters.append(.init(variable: number(of: name), name: name, fallback: fallback))
        }
        advance()
        return parameters
    }

    private mutating func parseFunction(
        name: Text, variable: Int, end: StaticString, signature: [MacroDefinition.Parameter], around: Set<Int>
    ) throws(TemplateError) -> MacroDefinition {
        let body = try parseDetached(until: end)
        let explicit = Set(signature.map(\.variable))
        let free = mentioned.subtracting(explicit)
        mentioned.formUnion(around)
        return MacroDefinition(
            name: name, variable: variable, parameters: signature, body: body,
            takesPositional: free.contains(WellKnown.varargs), takesKeywords: free.contains(WellKnown.kwargs),
            takesCaller: mentioned.contains(WellKnown.caller))
    }

    private mutating func parseMacro() throws(TemplateError) -> Statement.Kind {
        advance()
        let name = try parseTargetName()
        let variable = number(of: name)
        let around = mentioned
        mentioned = []
        let signature = try parseSignature()
        return .macro(
            try parseFunction(name: name, variable: variable, end: "endmacro", signature: signature, around: around))
    }

    private mutating func parseCallBlock() throws(TemplateError) -> Statement.Kind {
        advance()
        let around = mentioned
        mentioned = []
        let signature = isMark(.leftParenthesis) ? try parseSignature() : []
        let call = try parseExpression()
        guard case .call = call else { throw fail("a call block must call something") }
        return .callBlock(
            call,
            try parseFunction(
                name: Text("caller"), variable: WellKnown.caller, end: "endcall", signature: signature, around: around))
    }

    private mutating func parseFilterBlock() throws(TemplateError) -> Statement.Kind {
        advance()
        let filters = try parseFilters(.captured, startsInside: true)
        let body = try parseBlock(until: ["endfilter"])
        advance()
        return .filterBlock(filters, body)
    }

    private mutating func parseWith() throws(TemplateError) -> Statement.Kind {
        advance()
        var bindings: [(target: Target, value: Expression)] = []
        while current.kind != .blockEnd, !isMark(.colon) {
            if !bindings.isEmpty { try expect(.comma) }
            let target = try parseTarget()
            try expect(.assign)
            bindings.append((target, try parseExpression()))
        }
        let body = try parseBlock(until: ["endwith"])
        advance()
        return .with(bindings, body)
    }

    private mutating func parsePrint() throws(TemplateError) -> [Statement] {
        let line = line
        advance()
        var statements: [Statement] = []
        while current.kind != .blockEnd {
            if !statements.isEmpty { try expect(.comma) }
            statements.append(Statement(kind: .output(try parseExpression()), line: line))
        }
        return statements
    }

    private static let constants: Set<String> = ["true", "false", "none", "True", "False", "None"]

    private mutating func parseTargetName() throws(TemplateError) -> Text {
        let name = try expectName()
        guard !Self.constants.contains(name.string) else { throw fail("cannot assign to '\(name.string)'") }
        return name
    }

    /// A name, an attribute of a namespace, or a tuple of them.
    private mutating func parseTarget(
        withAttributes: Bool = false, endsWithIn: Bool = false
    ) throws(TemplateError) -> Target {
        var targets: [Target] = []
        var isTuple = false
        while true {
            if !targets.isEmpty || isTuple {
                if endsWithIn && isName("in") || current.kind == .blockEnd || isMark(.rightParenthesis) { break }
            }
            if skip(.leftParenthesis) {
                try enter(1)
                targets.append(try parseTarget(withAttributes: withAttributes))
                leave(1)
                try expect(.rightParenthesis)
            } else {
                let name = try parseTargetName()
                let variable = number(of: name)
                if withAttributes, skip(.dot) {
                    targets.append(.attribute(variable, name, attribute: try expectName()))
                } else {
                    targets.append(.name(variable, name))
                }
            }
            guard skip(.comma) else { break }
            isTuple = true
        }
        return isTuple || targets.count != 1 ? .tuple(targets) : targets[0]
    }
}
