/// A Python dictionary: keys in order of insertion. Immutable once built.
final class Dict {
    let keys: [Value]
    let values: [Value]
    let depth: Int
    let weight: Int
    /// Positions by key, for dictionaries too large to search from the front.
    private let index: [DictKey: Int]?

    init() {
        keys = []
        values = []
        depth = 1
        weight = 16
        index = nil
    }

    private init(keys: [Value], values: [Value], index: [DictKey: Int]?) {
        self.keys = keys
        self.values = values
        self.index = index
        var measure = Measure()
        for key in keys { measure.add(key) }
        for value in values { measure.add(value) }
        depth = measure.depth + 1
        weight = measure.weight
    }

    var count: Int { keys.count }
    var pairs: [Value] { keys.indices.map { .tuple([keys[$0], values[$0]]) } }

    /// The value of a string key.
    func member(_ name: Text) -> Value? {
        if let index { return index[DictKey(.string(name))].map { values[$0] } }
        for position in keys.indices {
            if case .string(let key) = keys[position], key == name { return values[position] }
        }
        return nil
    }

    /// The value of any hashable key.
    func member(_ key: Value) -> Value? {
        if let index { return index[DictKey(key)].map { values[$0] } }
        for position in keys.indices where Value.equal(keys[position], key) { return values[position] }
        return nil
    }

    /// A copy with one more or one other member.
    func setting(_ key: Value, _ value: Value) -> Dict {
        var builder = Builder(self)
        builder.set(key, value)
        return builder.finish()
    }

    /// A dictionary in the making.
    struct Builder {
        private var keys: [Value] = []
        private var values: [Value] = []
        private var index: [DictKey: Int]?
        /// Up to this many keys a search from the front is quicker than hashing.
        private static let small = 8

        init(capacity: Int = 0) {
            keys.reserveCapacity(capacity)
            values.reserveCapacity(capacity)
        }

        init(_ dict: Dict) {
            keys = dict.keys
            values = dict.values
            index = dict.index
        }

        var count: Int { keys.count }

        mutating func set(_ key: Value, _ value: Value) {
            if let position = position(of: key) {
                values[position] = value
                return
            }
            index?[DictKey(key)] = keys.count
            keys.append(key)
            values.append(value)
            if index == nil, keys.count > Self.small {
                var index: [DictKey: Int] = [:]
                index.reserveCapacity(keys.count * 2)
                for (position, key) in keys.enumerated() { index[DictKey(key)] = position }
                self.index = index
            }
        }

        private func position(of key: Value) -> Int? {
            if let index { return index[DictKey(key)] }
            return keys.firstIndex { Value.equal($0, key) }
        }

        consuming func finish() -> Dict { Dict(keys: keys, values: values, index: index) }
    }
}

/// A value as a key: equal numbers of different types are one key, as in Python.
struct DictKey: Hashable {
    let value: Value

    init(_ value: Value) { self.value = value }

    static func == (a: DictKey, b: DictKey) -> Bool { Value.equal(a.value, b.value) }

    func hash(into hasher: inout Hasher) { Self.hash(value, into: &hasher) }

    private static func hash(_ value: Value, into hasher: inout Hasher) {
        switch value {
        case .bool(let value): hasher.combine(value ? 1.0 : 0.0)
        case .int(let value): hasher.combine(Double(value))
        case .float(let value): hasher.combine(value)
        case .string(let text): hasher.combine(text)
        case .tuple(let items): for item in items.items { hash(item, into: &hasher) }
        default: hasher.combine(0)
        }
    }
}
