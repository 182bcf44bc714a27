/// The schemas of one document by number: the root, all that stand in it where schemas may, and values that stand for the
/// schema that takes them alone.
final class SchemaDocument {
    /// What one schema says.
    enum Content {
        case boolean(Bool)
        case keywords(SchemaMembers)
        /// This value and no other.
        case constant(SchemaValue)
    }

    struct Schema {
        var content: Content
        /// Its JSON pointer.
        var place: String
        /// The schema that is the root of the resource it is in: one with an `$id`, or the document's.
        var resource: Int
    }

    private static let maximumSchemas = 20_000
    /// Keywords that hold a schema, a list of schemas, and schemas by name.
    private static let single: [String] = [
        "additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else", "unevaluatedItems",
        "unevaluatedProperties", "contentSchema",
    ]
    private static let lists = ["allOf", "anyOf", "oneOf", "prefixItems"]
    private static let tables = ["$defs", "definitions", "properties", "patternProperties", "dependentSchemas"]

    private(set) var schemas: [Schema] = []
    private var numbers: [String: Int] = [:]
    private var constants: [SchemaValue: Int] = [:]
    private var resources: [SchemaReference: Int] = [:]
    private var bases: [Int: SchemaReference] = [:]
    private var anchors: [Int: [String: Int]] = [:]

    /// Finds the schemas of a document.
    init(_ root: SchemaValue) throws(GrammarError) {
        bases[0] = SchemaReference("")
        resources[SchemaReference("")] = 0
        try add(root, place: "", resource: 0)
    }

    private func add(_ value: SchemaValue, place: String, resource: Int) throws(GrammarError) {
        let number = schemas.count
        guard number < Self.maximumSchemas else {
            throw GrammarError("the document holds more than \(Self.maximumSchemas) schemas")
        }
        numbers[place] = number
        var resource = resource
        switch value {
        case .boolean(let flag): schemas.append(Schema(content: .boolean(flag), place: place, resource: resource))
        case .object(let keywords):
            if let id = keywords[MemberName("$id")] {
                guard let text = id.text else { throw GrammarError("`$id` must be a string", at: place + "/$id") }
                let base = SchemaReference(text).resolved(against: bases[resource] ?? SchemaReference(""))
                resource = number
                bases[number] = base
                resources[base] = number
            }
            schemas.append(Schema(content: .keywords(keywords), place: place, resource: resource))
            for keyword in ["$anchor", "$dynamicAnchor"] {
                if let name = value[keyword]?.text { anchors[resource, default: [:]][name] = number }
            }
            try addChildren(of: value, place: place, resource: resource)
        default:
            throw GrammarError(
                "a schema must be an object or a boolean, not \(value.kind)", at: place.isEmpty ? nil : place)
        }
    }

    private func addChildren(of value: SchemaValue, place: String, resource: Int) throws(GrammarError) {
        for keyword in Self.single {
            if let child = value[keyword] {
                if keyword == "items", case .array = child {
                    throw GrammarError(
                        "`items` must be a schema; a list of them is `prefixItems`", at: place + "/items")
                }
                try add(child, place: "\(place)/\(keyword)", resource: resource)
            }
        }
        for keyword in Self.lists {
            guard let list = value[keyword] else { continue }
            guard case .array(let children) = list, !children.isEmpty else {
                throw GrammarError("`\(keyword)` must be a list of schemas, at least one", at: "\(place)/\(keyword)")
            }
            for (index, child) in children.enumerated() {
                try add(child, place: "\(place)/\(keyword)/\(index)", resource: resource)
            }
        }
        for keyword in Self.tables {
            guard let table = value[keyword] else { continue }
            guard case .object(let children) = table else {
                throw GrammarError("`\(keyword)` must be an object of schemas", at: "\(place)/\(keyword)")
            }
            for (name, child) in children.values.sorted(by: { $0.key < $1.key }) {
                try add(child, place: "\(place)/\(keyword)/\(Self.escaped(name.text))", resource: resource)
            }
        }
    }

    /// A name as a part of a JSON pointer.
    static func escaped(_ name: String) -> String {
        guard name.contains(where: { $0 == "~" || $0 == "/" }) else { return name }
        return name.map { $0 == "~" ? "~0" : $0 == "/" ? "~1" : String($0) }.joined()
    }

    /// The schema behind a keyword of another.
    func child(_ schema: Int, _ path: String) throws(GrammarError) -> Int {
        let place = "\(schemas[schema].place)/\(path)"
        guard let number = numbers[place] else { throw GrammarError("no schema stands here", at: place) }
        return number
    }

    /// The schema that takes one value alone.
    func constant(_ value: SchemaValue, place: String) -> Int {
        if let number = constants[value] { return number }
        schemas.append(Schema(content: .constant(value), place: place, resource: 0))
        constants[value] = schemas.count - 1
        return schemas.count - 1
    }

    /// The schema that a reference in another means.
    func target(of text: String, from schema: Int) throws(GrammarError) -> Int {
        let place = schemas[schema].place + "/$ref"
        let reference = SchemaReference(text)
        let base = bases[schemas[schema].resource] ?? SchemaReference("")
        guard let resource = resources[reference.resolved(against: base)] else {
            throw GrammarError(
                "`$ref` \"\(text.prefix(200))\" is not in this document; schemas elsewhere are not fetched", at: place)
        }
        let fragment = reference.decodedFragment ?? ""
        let found =
            fragment.isEmpty
            ? resource
            : fragment.hasPrefix("/") ? numbers[schemas[resource].place + fragment] : anchors[resource]?[fragment]
        guard let found else {
            throw GrammarError("`$ref` \"\(text.prefix(200))\" leads to no schema of this document", at: place)
        }
        return found
    }
}
