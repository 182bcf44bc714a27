#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension Renderer {
    @inline(never)
    func binary(
        _ operation: Expression.BinaryOperator, _ left: Expression, _ right: Expression
    ) throws(TemplateError) -> Value {
        let left = try evaluate(left)
        let right = try evaluate(right)
        return try binary(operation, left, right)
    }

    func binary(
        _ operation: Expression.BinaryOperator, _ left: Value, _ right: Value
    ) throws(TemplateError) -> Value {
        switch (operation, left, right) {
        case (.add, .string(let a), .string(let b)):
            let isMarkup = a.isMarkup || b.isMarkup
            var text = isMarkup && !a.isMarkup ? a.escapedForHTML() : a
            let tail = isMarkup && !b.isMarkup ? b.escapedForHTML() : b
            try reserve(bytes: text.bytes.count + tail.bytes.count)
            text.append(tail)
            text.isMarkup = isMarkup
            return .string(text)
        case (.add, .list(let a), .list(let b)):
            try reserve(members: a.items.count + b.items.count)
            return .list(a.items + b.items)
        case (.add, .tuple(let a), .tuple(let b)):
            try reserve(members: a.items.count + b.items.count)
            return .tuple(a.items + b.items)
        case (.modulo, .string(let format), _): return try made(percentFormat(format, right))
        case (.multiply, .string(let text), let count), (.multiply, let count, .string(let text)):
            let count = try repetitions(count, of: text.bytes.count, limit: limits.stringBytes, "stringBytes")
            try reserve(bytes: text.bytes.count * count)
            return .string(Text(valid: Array([[UInt8]](repeating: text.bytes, count: count).joined())))
        case (.multiply, .list(let items), let count), (.multiply, let count, .list(let items)):
            return .list(try repeated(items, count))
        case (.multiply, .tuple(let items), let count), (.multiply, let count, .tuple(let items)):
            return .tuple(try repeated(items, count))
        default: return try arithmetic(operation, number(left), number(right))
        }
    }

    /// How often something of `size` is repeated, checked against a bound.
    private func repetitions(
        _ count: Value, of size: Int, limit: Int, _ name: String
    ) throws(TemplateError) -> Int {
        guard case .int(let count)? = count.number else {
            throw .runtime("a sequence can be repeated by an integer only")
        }
        guard count > 0, size > 0 else { return 0 }
        if count > limit / size { throw TemplateError.limit(name, limit) }
        return count
    }

    private func repeated(_ items: Items, _ count: Value) throws(TemplateError) -> Items {
        let count = try repetitions(count, of: items.items.count, limit: limits.listMembers, "listMembers")
        try reserve(members: items.items.count * count)
        return Items(Array([[Value]](repeating: items.items, count: count).joined()))
    }

    private func arithmetic(
        _ operation: Expression.BinaryOperator, _ left: Number, _ right: Number
    ) throws(TemplateError) -> Value {
        if case .int(let a) = left, case .int(let b) = right { return try integer(operation, a, b) }
        let a = left.double
        let b = right.double
        switch operation {
        case .add: return .float(a + b)
        case .subtract: return .float(a - b)
        case .multiply: return .float(a * b)
        case .divide, .floorDivide, .modulo:
            guard b != 0 else { throw .runtime("division by zero") }
            if operation == .divide { return .float(a / b) }
            var remainder = fmod(a, b)
            if remainder != 0, (remainder < 0) != (b < 0) { remainder += b }
            if remainder == 0 { remainder = b < 0 ? -0.0 : 0.0 }
            if operation == .modulo { return .float(remainder) }
            let quotient = (a - remainder) / b
            guard quotient != 0 else { return .float((a < 0) != (b < 0) ? -0.0 : 0.0) }
            let floored = quotient.rounded(.down)
            return .float(quotient - floored > 0.5 ? floored + 1 : floored)
        case .power:
            if a == 0, b < 0 { throw .runtime("zero cannot be raised to a negative power") }
            let result = pow(a, b)
            if result.isNaN, !a.isNaN, !b.isNaN { throw .runtime("the power is a complex number") }
            if result.isInfinite, a.isFinite, b.isFinite { throw .runtime("the power is out of range") }
            return .float(result)
        }
    }

    private func integer(
        _ operation: Expression.BinaryOperator, _ a: Int, _ b: Int
    ) throws(TemplateError) -> Value {
        let result: (partialValue: Int, overflow: Bool)
        switch operation {
        case .add: result = a.addingReportingOverflow(b)
        case .subtract: result = a.subtractingReportingOverflow(b)
        case .multiply: result = a.multipliedReportingOverflow(by: b)
        case .divide:
            guard b != 0 else { throw .runtime("division by zero") }
            return .float(Double(a) / Double(b))
        case .floorDivide:
            guard b != 0 else { throw .runtime("division by zero") }
            result = a.dividedReportingOverflow(by: b)
            if !result.overflow, a % b != 0, (a < 0) != (b < 0) { return .int(result.partialValue - 1) }
        case .modulo:
            guard b != 0 else { throw .runtime("division by zero") }
            guard b != -1 else { return .int(0) }
            let remainder = a % b
            return .int(remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder)
        case .power:
            guard b >= 0 else { return try arithmetic(.power, .float(Double(a)), .float(Double(b))) }
            result = Self.power(a, b)
        }
        guard !result.overflow else { throw .runtime("an integer does not fit in 64 bits") }
        return .int(result.partialValue)
    }

    private static func power(_ base: Int, _ exponent: Int) -> (partialValue: Int, overflow: Bool) {
        if base == 0 || base == 1 { return (exponent == 0 ? 1 : base, false) }
        if base == -1 { return (exponent % 2 == 0 ? 1 : -1, false) }
        guard exponent < 64 else { return (0, true) }
        var result = 1
        for _ in 0..<exponent {
            let (product, overflow) = result.multipliedReportingOverflow(by: base)
            if overflow { return (0, true) }
            result = product
        }
        return (result, false)
    }

    // MARK: - Comparisons

    @inline(never)
    func compare(
        _ first: Expression, _ rest: [(comparison: Expression.Comparison, operand: Expression)]
    ) throws(TemplateError) -> Value {
        var left = try evaluate(first)
        for (comparison, operand) in rest {
            let right = try evaluate(operand)
            guard try compare(left, comparison, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    func compare(_ a: Value, _ comparison: Expression.Comparison, _ b: Value) throws(TemplateError) -> Bool {
        switch comparison {
        case .equal: return try equal(a, b)
        case .notEqual: return try !equal(a, b)
        case .within: return try contains(b, a)
        case .notWithin: return try !contains(b, a)
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard let order = try order(a, b) else { return false }
            switch comparison {
            case .less: return order < 0
            case .lessOrEqual: return order <= 0
            case .greater: return order > 0
            default: return order >= 0
            }
        }
    }

    func equal(_ a: Value, _ b: Value) throws(TemplateError) -> Bool {
        try pay(bytes: min(a.measure.weight, b.measure.weight))
        return Value.equal(a, b)
    }

    func order(_ a: Value, _ b: Value) throws(TemplateError) -> Int? {
        // Each level of nesting is searched for its first difference again.
        let (a1, b1) = (a.measure, b.measure)
        try pay(bytes: min(a1.weight, b1.weight, 1 << 40) * (1 + min(a1.depth, b1.depth)))
        return try Value.order(a, b)
    }

    /// Python's `in`.
    func contains(_ container: Value, _ member: Value) throws(TemplateError) -> Bool {
        switch container {
        case .string(let text):
            guard case .string(let part) = member else {
                throw .runtime("'in' a string takes a string, not a value of type \(member.typeName)")
            }
            return try find(part, in: text) != nil
        case .dict(let dict):
            try checkKey(member)
            return dict.member(member) != nil
        case .range(let range):
            guard let number = member.number, range.count > 0 else { return false }
            let value: Int
            switch number {
            case .int(let whole): value = whole
            case .float(let float):
                guard let whole = Int(exactly: float) else { return false }
                value = whole
            }
            let (offset, overflow) = value.subtractingReportingOverflow(range.start)
            guard !overflow, offset % range.step == 0 else { return false }
            return (0..<range.count).contains(offset / range.step)
        case .none, .bool, .int, .float, .namespace, .function:
            throw .runtime("a value of type \(container.typeName) has no members to search")
        default:
            for item in try members(of: container) where try equal(item, member) { return true }
            return false
        }
    }

    /// The byte offset of a part of a string, paid for by the bytes compared.
    func find(_ part: Text, in text: Text, from start: Int = 0, to end: Int? = nil) throws(TemplateError) -> Int? {
        // A search compares at most the product of both lengths: when that is large, pay as it goes.
        var work = 0
        let end = end ?? text.bytes.count
        let window = max(64, (1 << 20) / max(1, part.bytes.count))
        var from = start
        while from <= end {
            let to = min(end, from + window + part.bytes.count)
            let found = text.find(part, from: from, to: to, work: &work)
            try pay(steps: work >> 5)
            work = 0
            if let found { return found }
            if to == end { return nil }
            from = to - part.bytes.count + 1
        }
        return nil
    }
}
