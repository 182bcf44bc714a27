/// Tests that templates can use behind `is`.
enum Test: String, Sendable {
    case defined, undefined, none, string, mapping, iterable, sequence, number, integer, float, boolean, callable
    case `true`, `false`, odd, even, divisibleby, equal, unequal, less, lessOrEqual, greater, greaterOrEqual
    case `in`, lower, upper, sameas, escaped, filter, test

    init?(name: Text) {
        switch name.string {
        case "equalto", "eq", "==": self = .equal
        case "ne", "!=": self = .unequal
        case "lt", "lessthan", "<": self = .less
        case "le", "<=": self = .lessOrEqual
        case "gt", "greaterthan", ">": self = .greater
        case "ge", ">=": self = .greaterOrEqual
        case "equal", "unequal", "less", "lessOrEqual", "greater", "greaterOrEqual": return nil
        case let name: self.init(rawValue: name)
        }
    }
}

extension Renderer {
    @inline(never)
    func check(
        _ test: Test?, _ name: Text, _ base: Expression, _ arguments: Expression.Arguments
    ) throws(TemplateError) -> Value {
        let value = try evaluate(base)
        guard let test else { throw .runtime("there is no test '\(name.string)'") }
        return .bool(try check(test, value, evaluate(arguments)))
    }

    func check(_ test: Test, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Bool {
        switch test {
        case .equal, .unequal, .less, .lessOrEqual, .greater, .greaterOrEqual, .in, .sameas, .divisibleby:
            guard let other = try arguments.bound(test.rawValue, "other")[0] else {
                throw .runtime("the test takes an argument")
            }
            return try check(test, value, other)
        default:
            try arguments.checkNone(test.rawValue)
            return try check(test, value)
        }
    }

    private func check(_ test: Test, _ value: Value, _ other: Value) throws(TemplateError) -> Bool {
        switch test {
        case .equal: return try equal(value, other)
        case .unequal: return try !equal(value, other)
        case .less: return try compare(value, .less, other)
        case .lessOrEqual: return try compare(value, .lessOrEqual, other)
        case .greater: return try compare(value, .greater, other)
        case .greaterOrEqual: return try compare(value, .greaterOrEqual, other)
        case .in: return try contains(other, value)
        case .divisibleby:
            return try !binary(.modulo, .from(number(value)), .from(number(other))).isTrue
        default:
            switch (value, other) {
            case (.bool(let a), .bool(let b)): return a == b
            case (.none, .none): return true
            case (.int(let a), .int(let b)): return a == b
            case (.string(let a), .string(let b)): return a == b
            case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)): return a === b
            case (.dict(let a), .dict(let b)): return a === b
            case (.namespace, .namespace), (.loop, .loop), (.function, .function): return Value.equal(value, other)
            default: return false
            }
        }
    }

    private func check(_ test: Test, _ value: Value) throws(TemplateError) -> Bool {
        switch test {
        case .defined: return !value.isUndefined
        case .undefined: return value.isUndefined
        case .none: return value.isNone
        case .string: if case .string = value { return true }
        case .mapping: if case .dict = value { return true }
        case .iterable:
            switch value {
            case .none, .bool, .int, .float, .namespace, .function: return false
            default: return true
            }
        case .sequence:
            switch value {
            case .string, .list, .tuple, .dict, .range, .undefined: return true
            default: return false
            }
        case .number: return value.number != nil
        case .integer: if case .int = value { return true }
        case .float: if case .float = value { return true }
        case .boolean: if case .bool = value { return true }
        case .true: if case .bool(true) = value { return true }
        case .false: if case .bool(false) = value { return true }
        case .callable:
            switch value {
            case .function, .undefined, .loop: return true
            default: return false
            }
        case .odd, .even:
            let remainder = try binary(.modulo, .from(number(value)), .int(2))
            return Value.equal(remainder, .int(test == .odd ? 1 : 0))
        case .lower: return try text(value).isLowercase
        case .upper: return try text(value).isUppercase
        case .filter: return Filter(name: try text(value)) != nil
        case .test: return Test(name: try text(value)) != nil
        default: break
        }
        return false
    }
}

extension Value {
    static func from(_ number: Number) -> Value {
        switch number {
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        }
    }
}
