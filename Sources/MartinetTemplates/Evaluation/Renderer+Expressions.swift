extension Renderer {
    func evaluate(_ expression: Expression) throws(TemplateError) -> Value {
        try enter()
        defer { leave() }
        switch expression {
        case .none: return .none
        case .bool(let value): return .bool(value)
        case .int(let value): return .int(value)
        case .float(let value): return .float(value)
        case .string(let text): return .string(text)
        case .name(let number, let name): return lookUp(number, name)
        case .attribute(let base, let name, let method): return try attribute(name, method, of: evaluate(base))
        case .subscripted(let base, let index): return try item(evaluate(index), of: evaluate(base))
        case .not(let operand): return .bool(try !evaluate(operand).isTrue)
        case .and(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? try evaluate(right) : value
        case .or(let left, let right):
            let value = try evaluate(left)
            return value.isTrue ? value : try evaluate(right)
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test).isTrue { return try evaluate(then) }
            guard let otherwise else { return .undefined(.nothing) }
            return try evaluate(otherwise)
        case .binary(let operation, let left, let right): return try binary(operation, left, right)
        case .compare(let first, let rest): return try compare(first, rest)
        case .filter(let base, let filter, let name, let arguments):
            return try apply(filter, name, base, arguments)
        case .test(let base, let test, let name, let arguments): return try check(test, name, base, arguments)
        case .call(let callee, let arguments): return try evaluateCall(callee, arguments)
        case .captured: return captured
        default: return try evaluateCompound(expression)
        }
    }

    @inline(never)
    private func evaluateCompound(_ expression: Expression) throws(TemplateError) -> Value {
        switch expression {
        case .tuple(let members): return try made(.tuple(evaluate(members)))
        case .list(let members): return try made(.list(evaluate(members)))
        case .dict(let members): return try evaluateDict(members)
        case .concatenation(let parts):
            var text = Text()
            for part in parts {
                let part = try self.text(evaluate(part))
                try reserve(bytes: text.bytes.count + part.bytes.count)
                text.append(part)
            }
            return .string(text)
        case .slice(let base, let start, let stop, let step):
            let base = try evaluate(base)
            return try slice(base, evaluateOptional(start), evaluateOptional(stop), evaluateOptional(step))
        case .negative(let operand):
            switch try number(evaluate(operand)) {
            case .int(let value):
                let (result, overflow) = (0).subtractingReportingOverflow(value)
                guard !overflow else { throw .runtime("an integer does not fit in 64 bits") }
                return .int(result)
            case .float(let value): return .float(-value)
            }
        case .positive(let operand):
            switch try number(evaluate(operand)) {
            case .int(let value): return .int(value)
            case .float(let value): return .float(value)
            }
        default: return .none
        }
    }

    private func evaluateDict(_ members: [(key: Expression, value: Expression)]) throws(TemplateError) -> Value {
        var builder = Dict.Builder(capacity: members.count)
        for member in members {
            let key = try evaluate(member.key)
            try checkKey(key)
            builder.set(key, try evaluate(member.value))
        }
        return try made(.dict(builder.finish()))
    }

    private func evaluateOptional(_ expression: Expression?) throws(TemplateError) -> Value {
        guard let expression else { return .none }
        return try evaluate(expression)
    }

    private func evaluate(_ members: [Expression]) throws(TemplateError) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(members.count)
        for member in members { values.append(try evaluate(member)) }
        return values
    }

    func lookUp(_ number: Int, _ name: Text) -> Value {
        if let value = scope?.value(number) { return value }
        return root[number] ?? .undefined(.name(name))
    }

    func number(_ value: Value) throws(TemplateError) -> Number {
        if let number = value.number { return number }
        if case .undefined(let missing) = value { throw .runtime(missing.message) }
        throw .runtime("a value of type \(value.typeName) is not a number")
    }

    func evaluate(_ arguments: Expression.Arguments) throws(TemplateError) -> CallArguments {
        if arguments.isEmpty { return CallArguments() }
        var values = CallArguments(positional: try evaluate(arguments.positional))
        for (name, value) in arguments.keywords { values.keywords.append((name, try evaluate(value))) }
        if let spread = arguments.spread {
            values.positional += try members(of: evaluate(spread))
            try reserve(members: values.positional.count)
        }
        if let spread = arguments.keywordSpread {
            guard case .dict(let dict) = try evaluate(spread) else {
                throw .runtime("what follows '**' is not a mapping")
            }
            for position in dict.keys.indices {
                guard case .string(let name) = dict.keys[position] else { throw .runtime("keywords must be strings") }
                guard !values.keywords.contains(where: { $0.name == name }) else {
                    throw .runtime("the argument '\(name.string)' is given twice")
                }
                values.keywords.append((name, dict.values[position]))
                try pay(steps: values.keywords.count)
            }
        }
        return values
    }

    @inline(never)
    private func evaluateCall(
        _ callee: Expression, _ arguments: Expression.Arguments
    ) throws(TemplateError) -> Value {
        // A method of the value itself is called without making a function of it first.
        if case .attribute(let base, let name, let method?) = callee {
            let receiver = try evaluate(base)
            if method.exists(on: receiver) {
                return try made(call(method, on: receiver, evaluate(arguments)))
            }
            return try call(attribute(name, method, of: receiver), evaluate(arguments))
        }
        let function = try evaluate(callee)
        return try call(function, evaluate(arguments))
    }
}
