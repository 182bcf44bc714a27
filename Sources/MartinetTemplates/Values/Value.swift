/// A value while a template is rendered: Python's types, as far as templates can tell them apart.
enum Value {
    case undefined(Missing)
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(Text)
    case list(Items)
    case tuple(Items)
    case range(NumberRange)
    case dict(Dict)
    /// What `map`, `select` and their kin give: members that can be taken once.
    case iterator(Iterator)
    case namespace(Namespace)
    case loop(Loop)
    case function(Function)
}

/// Why a value is undefined: said when it is used.
enum Missing {
    case name(Text)
    case attribute(Text)
    case parameter(Text)
    case unsafe(Text)
    case nothing

    var message: String {
        switch self {
        case .name(let name): "'\(name.string)' is undefined"
        case .attribute(let name): "the value has no attribute or item '\(name.string)'"
        case .parameter(let name): "parameter '\(name.string)' was not provided"
        case .unsafe(let name):
            "access to attribute '\(name.string)' is refused: templates may not change their input or see internals"
        case .nothing: "the value is undefined"
        }
    }
}

/// Members of a list or a tuple. Immutable, so values form no cycles.
final class Items {
    let items: [Value]
    /// One more than the deepest member: bounds recursion when values are printed, compared and released.
    let depth: Int
    /// About the bytes that printing takes, with shared members counted each time: bounds work on values.
    let weight: Int

    init(_ items: [Value]) {
        self.items = items
        var measure = Measure()
        for item in items { measure.add(item) }
        depth = measure.depth + 1
        weight = measure.weight
    }
}

/// Adds up the depths and weights of members.
struct Measure {
    var depth = 0
    var weight = 16
    private static let heaviest = Int.max / 4

    mutating func add(_ value: Value) {
        let (depth, weight) = value.measure
        self.depth = max(self.depth, depth)
        self.weight = min(self.weight + min(weight, Self.heaviest), Self.heaviest)
    }
}

/// Python's `range`.
final class NumberRange {
    let start: Int, step: Int, count: Int

    /// `count` members; the last one must be representable.
    init(start: Int, step: Int, count: Int) {
        self.start = start
        self.step = step
        self.count = count
    }

    subscript(index: Int) -> Value { .int(start &+ index &* step) }
    var items: [Value] { (0..<count).map { self[$0] } }
}

/// Members that are handed out once.
final class Iterator {
    private var remaining: ArraySlice<Value>
    let depth: Int
    /// What Python calls it, for printing.
    let kind: StaticString

    init(_ items: [Value], kind: StaticString = "generator") {
        remaining = items[...]
        var measure = Measure()
        for item in items { measure.add(item) }
        depth = measure.depth + 1
        self.kind = kind
    }

    func next() -> Value? { remaining.popFirst() }
    func rest() -> [Value] {
        defer { remaining = [] }
        return Array(remaining)
    }
}

/// The one mutable value, `namespace()`.
///
/// The renderer keeps all of them and empties them at the end, as they can refer to each other in cycles.
final class Namespace {
    var attributes = Dict()
}

extension Value {
    /// How deeply it nests, and about how many bytes its printed form has.
    var measure: (depth: Int, weight: Int) {
        switch self {
        case .string(let text): (0, text.bytes.count + 4)
        case .list(let items), .tuple(let items): (items.depth, items.weight)
        case .dict(let dict): (dict.depth, dict.weight)
        case .iterator(let iterator): (iterator.depth, 32)
        case .loop(let loop): (loop.depth, 32)
        case .function(let function): (function.depth, 32)
        default: (0, 16)
        }
    }

    static func string(_ string: String) -> Value { .string(Text(string)) }
    static func list(_ items: [Value]) -> Value { .list(Items(items)) }
    static func tuple(_ items: [Value]) -> Value { .tuple(Items(items)) }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }
    var isNone: Bool { if case .none = self { true } else { false } }

    /// Python's truth.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .int(let value): value != 0
        case .float(let value): value != 0
        case .string(let text): !text.isEmpty
        case .list(let items), .tuple(let items): !items.items.isEmpty
        case .range(let range): range.count > 0
        case .dict(let dict): !dict.keys.isEmpty
        case .iterator, .namespace, .function: true
        case .loop: true
        }
    }

    /// The type's Python name, for messages.
    var typeName: String {
        switch self {
        case .undefined: "undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int: "int"
        case .float: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .range: "range"
        case .dict: "dict"
        case .iterator(let iterator): "\(iterator.kind)"
        case .namespace: "Namespace"
        case .loop: "LoopContext"
        case .function: "function"
        }
    }

    /// A value from outside; `nil` when it nests deeper than `depth`.
    init?(_ value: TemplateValue, depth: Int) {
        guard depth > 0 else { return nil }
        switch value {
        case .null: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .int(value)
        case .double(let value): self = .float(value)
        case .string(let value): self = .string(Text(value))
        case .array(let values):
            var items: [Value] = []
            items.reserveCapacity(values.count)
            for value in values {
                guard let item = Value(value, depth: depth - 1) else { return nil }
                items.append(item)
            }
            self = .list(Items(items))
        case .object(let members):
            var builder = Dict.Builder(capacity: members.count)
            for member in members {
                guard let item = Value(member.value, depth: depth - 1) else { return nil }
                builder.set(.string(Text(member.key)), item)
            }
            self = .dict(builder.finish())
        }
    }
}
