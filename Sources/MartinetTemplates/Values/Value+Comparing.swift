extension Value {
    /// Python's `==`.
    static func equal(_ a: Value, _ b: Value) -> Bool {
        switch (a, b) {
        case (.string(let a), .string(let b)): return a == b
        case (.undefined, .undefined), (.none, .none): return true
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            return a === b || (a.items.count == b.items.count && zip(a.items, b.items).allSatisfy { equal($0, $1) })
        case (.dict(let a), .dict(let b)):
            guard a !== b else { return true }
            guard a.count == b.count else { return false }
            for position in a.keys.indices {
                guard let other = b.member(a.keys[position]), equal(a.values[position], other) else { return false }
            }
            return true
        case (.range(let a), .range(let b)):
            return a.count == b.count && (a.count == 0 || (a.start == b.start && (a.count == 1 || a.step == b.step)))
        case (.iterator(let a), .iterator(let b)): return a === b
        case (.namespace(let a), .namespace(let b)): return a === b
        case (.loop(let a), .loop(let b)): return a === b
        case (.function(let a), .function(let b)): return a === b
        default:
            guard let a = a.number, let b = b.number else { return false }
            return Number.compare(a, b) == 0
        }
    }

    /// Python's `<`: -1, 0 or 1, or `nil` for two that have no order (a NaN).
    static func order(_ a: Value, _ b: Value) throws(TemplateError) -> Int? {
        switch (a, b) {
        case (.string(let a), .string(let b)): return a == b ? 0 : a < b ? -1 : 1
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (x, y) in zip(a.items, b.items) where !equal(x, y) { return try order(x, y) }
            return a.items.count == b.items.count ? 0 : a.items.count < b.items.count ? -1 : 1
        case (.undefined(let missing), _), (_, .undefined(let missing)): throw .runtime(missing.message)
        default:
            guard let x = a.number, let y = b.number else {
                throw .runtime("values of types \(a.typeName) and \(b.typeName) have no order")
            }
            return Number.compare(x, y)
        }
    }

    /// The number, where the value is one (`True` is 1).
    var number: Number? {
        switch self {
        case .bool(let value): .int(value ? 1 : 0)
        case .int(let value): .int(value)
        case .float(let value): .float(value)
        default: nil
        }
    }

    /// Refuses what cannot be a key of a dictionary or a member of a set.
    func checkHashable() throws(TemplateError) {
        switch self {
        case .list, .dict, .namespace: throw .runtime("unhashable type: '\(typeName)'")
        case .tuple(let items): for item in items.items { try item.checkHashable() }
        default: break
        }
    }
}

/// An integer or a floating-point number.
enum Number {
    case int(Int)
    case float(Double)

    var double: Double {
        switch self {
        case .int(let value): Double(value)
        case .float(let value): value
        }
    }

    /// -1, 0 or 1, exact also between an integer and a float; `nil` with a NaN.
    static func compare(_ a: Number, _ b: Number) -> Int? {
        switch (a, b) {
        case (.int(let a), .int(let b)): return a == b ? 0 : a < b ? -1 : 1
        case (.float(let a), .float(let b)): return a.isNaN || b.isNaN ? nil : a == b ? 0 : a < b ? -1 : 1
        case (.int(let a), .float(let b)):
            guard !b.isNaN else { return nil }
            if b >= 0x1p63 { return -1 }
            if b < -0x1p63 { return 1 }
            let whole = Int(b.rounded(.towardZero))
            if a != whole { return a < whole ? -1 : 1 }
            let fraction = b - b.rounded(.towardZero)
            return fraction == 0 ? 0 : fraction > 0 ? -1 : 1
        case (.float, .int): return compare(b, a).map { -$0 }
        }
    }
}
