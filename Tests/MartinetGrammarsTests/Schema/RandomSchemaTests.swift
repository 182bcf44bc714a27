import MartinetGrammars
import MartinetJSON
import Testing

/// Random schemas and values, drawn from so few parts that values are often valid.
private struct RandomJSON {
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
    private static func text(_ value: JSONValue) -> String {
        var writer = JSONWriter()
        writer.value(value)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// A grammar takes the values that the validator takes, and of texts changed at random only JSON that it takes.
    @Test(arguments: UInt64(1)...40) func grammarsAgreeWithTheValidator(seed: UInt64) throws {
        var random = RandomJSON(seed: seed)
        var compiled = 0
        for _ in 0..<40 {
            let schema = random.schema(depth: 2)
            let rules = GrammarRules()
            let source = Self.text(schema)
            var node: GrammarNode?
            do {
                node = try JSONSchemaLowering.node(source, rules: rules)
            } catch {
                guard error.message.hasPrefix("no JSON value") else { continue }
            }
            compiled += 1
            for _ in 0..<40 {
                let value = random.value(depth: 2)
                let text = Self.text(value)
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
}
