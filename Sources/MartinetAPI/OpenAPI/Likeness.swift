internal import MartinetJSON

/// What answers look like, as JSON Schema: made of examples, which together show what may be absent or null. Objects may
/// have more members than the examples.
struct Likeness {
    private var types: Set<String> = []
    private var members: [(name: String, likeness: Likeness, count: Int)] = []
    private var objectCount = 0
    /// Of an array's elements; none or one.
    private var items: [Likeness] = []

    /// Adds an example.
    mutating func add(_ value: JSONValue) {
        types.insert(value.schemaType)
        switch value {
        case .array(let values):
            for value in values {
                if items.isEmpty { items.append(Likeness()) }
                items[0].add(value)
            }
        case .object(let object):
            objectCount += 1
            for (name, value) in object {
                let index = members.firstIndex { $0.name == name } ?? members.endIndex
                if index == members.endIndex { members.append((name, Likeness(), 0)) }
                members[index].likeness.add(value)
                members[index].count += 1
            }
        default: break
        }
    }

    /// The schema. What examples show as null alone may be anything.
    var schema: JSONValue {
        guard types != ["null"], !types.isEmpty else { return .object([]) }
        var known = types
        if known.contains("number") { known.remove("integer") }
        let names = known.sorted().map { JSONValue.string($0) }
        var schema: [(key: String, value: JSONValue)] = [
            (key: "type", value: names.count == 1 ? names[0] : .array(names))
        ]
        if !members.isEmpty {
            schema.append(
                (key: "properties", value: .object(members.map { (key: $0.name, value: $0.likeness.schema) })))
            let required = members.filter { $0.count == objectCount }.map { JSONValue.string($0.name) }
            if !required.isEmpty { schema.append((key: "required", value: .array(required))) }
        }
        if let items = items.first { schema.append((key: "items", value: items.schema)) }
        return .object(schema)
    }
}
