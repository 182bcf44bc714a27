import MartinetGrammars
import MartinetJSON
import Testing

/// Random schemas and values, drawn from so few parts that values are often valid.
struct RandomJSON {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next(_ count: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state >> 11) % count
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[next(elements.count)] }

    private static let names = ["a", "b", "ab"]
    private static let scalars: [JSONValue] = [
        .null, .bool(true), .bool(false), .integer(0), .integer(1), .integer(-2), .integer(3), .integer(12),
        .double(0.5),
        .double(-1.5), .double(2.25), .string(""), .string("a"), .string("b"), .string("ab"), .string("aé"),
        .string("x\"\\\n"),
    ]

    mutating func value(depth: Int) -> JSONValue {
        guard depth > 0, next(3) > 0 else { return pick(Self.scalars) }
        if next(2) == 0 { return .array((0..<next(4)).map { _ in value(depth: depth - 1) }) }
        return .object(Self.names.filter { _ in next(2) == 0 }.map { (key: $0, value: value(depth: depth - 1)) })
    }

    mutating func schema(depth: Int) -> JSONValue {
        if next(12) == 0 { return .bool(next(3) > 0) }
        var keywords: [(key: String, value: JSONValue)] = []
        for _ in 0...next(3) {
            for keyword in keyword(depth: depth) where !keywords.contains(where: { $0.key == keyword.key }) {
                keywords.append(keyword)
            }
        }
        return .object(keywords)
    }

    private mutating func schemas(_ depth: Int) -> JSONValue {
        .array((0...next(2)).map { _ in schema(depth: depth - 1) })
    }
    private mutating func someNames() -> JSONValue {
        .array(Self.names.filter { _ in next(3) == 0 }.map { .string($0) })
    }

    private mutating func keyword(depth: Int) -> [(key: String, value: JSONValue)] {
        let types = ["null", "boolean", "number", "integer", "string", "array", "object"]
        switch next(depth > 0 ? 25 : 9) {
        case 0: return [("type", .string(pick(types)))]
        case 1: return [("type", .array(types.filter { _ in next(2) == 0 }.map { .string($0) } + [.string("object")]))]
        case 2: return [("minimum", pick([.integer(0), .integer(-2), .double(0.5)]))]
        case 3: return [("exclusiveMaximum", pick([.integer(3), .double(2.25), .integer(12)]))]
        case 4: return [("multipleOf", pick([.integer(2), .integer(3), .double(0.5)]))]
        case 5: return [("minLength", .integer(next(3)))]
        case 6: return [("maxLength", .integer(next(4)))]
        case 7: return [("pattern", .string(pick(["a", "^a", "b$", "^[ab]$"])))]
        case 8: return [("enum", .array((0...next(4)).map { _ in value(depth: 1) }))]
        case 9: return [("const", value(depth: 2))]
        case 10: return [("allOf", schemas(depth))]
        case 11: return [("anyOf", schemas(depth))]
        case 12: return [("oneOf", schemas(depth))]
        case 13: return [("not", schema(depth: depth - 1))]
        case 14:
            return [
                ("if", schema(depth: depth - 1)), ("then", schema(depth: depth - 1)),
                ("else", schema(depth: depth - 1)),
            ]
        case 15: return [("prefixItems", schemas(depth))]
        case 16: return [("items", schema(depth: depth - 1))]
        case 17: return [(pick(["minItems", "maxItems"]), .integer(next(4)))]
        case 18: return [("contains", schema(depth: depth - 1)), ("minContains", .integer(next(3)))]
        case 19: return [("contains", schema(depth: depth - 1)), ("maxContains", .integer(1 + next(2)))]
        case 20: return [("required", someNames())]
        case 21: return [("additionalProperties", schema(depth: depth - 1))]
        case 22: return [(pick(["minProperties", "maxProperties"]), .integer(next(3)))]
        case 23: return [("dependentRequired", .object([(key: pick(Self.names), value: someNames())]))]
        default:
            return [
                ("properties", .object(Self.names.filter { _ in next(2) == 0 }.map { ($0, schema(depth: depth - 1)) }))
            ]
        }
    }
}

@Suite struct RandomSchemaTests {
    /// A grammar takes the values that the validator takes, and of texts changed at random only JSON that it takes.
    @Test(arguments: UInt64(1)...40) func grammarsAgreeWithTheValidator(seed: UInt64) throws {
        var random = RandomJSON(seed: seed)
        var compiled = 0
        for _ in 0..<40 {
            let schema = random.schema(depth: 2)
            let rules = GrammarRules()
            let source = schema.text
            var node: GrammarNode?
            do {
                node = try JSONSchemaLowering.node(source, rules: rules)
            } catch {
                guard error.message.hasPrefix("no JSON value") else { continue }
            }
            compiled += 1
            for _ in 0..<40 {
                let value = random.value(depth: 2)
                let text = value.text
                let isTaken = node.map { Recogniser.accepts(text, $0, rules) } ?? false
                #expect(isTaken == PlainValidator.isValid(value, schema), "\(source) for \(text)")
                guard let node else { continue }
                var bytes = Array(text.utf8)
                bytes[random.next(bytes.count)] = random.pick(Array("\"{}[],:0123.-ea\\ tn".utf8))
                guard Recogniser.accepts(bytes, node, rules) else { continue }
                do {
                    let changed = try JSONParser.parse(bytes)
                    #expect(
                        PlainValidator.isValid(changed, schema),
                        "\(source) for \(String(decoding: bytes, as: UTF8.self))")
                } catch {
                    // A name that a schema does not know may come twice.
                    #expect(
                        error.problem.contains("stands twice"), "\(String(decoding: bytes, as: UTF8.self)): \(error)")
                }
            }
        }
        #expect(compiled >= 25)
    }

    /// A value can be written canonically, in some order of its members, exactly when the validator takes it.
    @Test(arguments: UInt64(1)...20) func everyValidValueHasACanonicalText(seed: UInt64) throws {
        var random = RandomJSON(seed: seed &+ 1_000)
        for _ in 0..<40 {
            let schema = random.schema(depth: 2)
            let source = schema.text
            let rules = GrammarRules()
            var node: GrammarNode?
            do {
                node = try JSONSchemaLowering.node(source, form: .canonical, rules: rules)
            } catch {
                guard error.message.hasPrefix("no JSON value") else { continue }
            }
            for _ in 0..<20 {
                let value = random.value(depth: 2)
                let isTaken = value.orderings().prefix(2_000).contains { value in
                    node.map { Recogniser.accepts(value.text, $0, rules) } ?? false
                }
                #expect(isTaken == PlainValidator.isValid(value, schema), "\(source) for \(value.text)")
            }
        }
    }
}

extension JSONValue {
    var text: String {
        var writer = JSONWriter()
        writer.value(self)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// The value with the members of all its objects in each order, at most some thousands.
    func orderings() -> [JSONValue] {
        func products(_ lists: [[JSONValue]]) -> [[JSONValue]] {
            lists.reduce([[]]) { rows, list in
                rows.count * list.count > 5_000
                    ? rows.map { $0 + list.prefix(1) } : rows.flatMap { row in list.map { row + [$0] } }
            }
        }
        switch self {
        case .array(let items): return products(items.map { $0.orderings() }).map { .array($0) }
        case .object(let members):
            var orders: [JSONValue] = []
            for values in products(members.map { $0.value.orderings() }) {
                let members = zip(members, values).map { (key: $0.key, value: $1) }
                orders += Self.permutations(members).map { .object($0) }
            }
            return orders
        default: return [self]
        }
    }

    private static func permutations<Element>(_ elements: [Element]) -> [[Element]] {
        guard (1...6).contains(elements.count) else { return [elements] }
        return elements.indices.flatMap { index in
            var others = elements
            let first = others.remove(at: index)
            return permutations(others).map { [first] + $0 }
        }
    }
}
