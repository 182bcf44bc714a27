import MartinetGrammars
import MartinetJSON
import Testing

@Suite struct CanonicalFormTests {
    /// One token for each byte, and an end.
    private static let bytes = GrammarVocabulary(
        tokens: (0..<256).map { [UInt8($0)] } + [nil], endTokens: [256])

    static let rows = [
        SchemaTests.Row(
            #"{"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false}"#,
            [#"{"b":1,"a":true}"#, #"{"b": 1, "a": true}"#],
            [
                #"{"a":true,"b":1}"#, #"{"b":1}"#, #"{"\u0062":1,"a":true}"#, "{\"b\":1,\n\"a\":true}",
                #"{"b":  1,"a":true}"#, #"{ "b":1,"a":true}"#, #"{"b" :1,"a":true}"#, #"{"b":1 ,"a":true}"#,
                #"{"b":1,"b":1,"a":true}"#,
            ]),
        SchemaTests.Row(
            #"{"type":"object","properties":{"b":{},"a":{"type":"boolean"},"c":{}},"required":["z","c"]}"#,
            [#"{"c":1,"z":2}"#, #"{"a":true,"c":1,"z":2,"y":3}"#, #"{"b":[],"c":1,"z":2,"aa":{}}"#],
            [#"{"z":2,"c":1}"#, #"{"c":1,"y":3,"z":2}"#, #"{"a":true,"b":1,"c":1,"z":2}"#, #"{"b":1,"z":2}"#]),
        SchemaTests.Row(
            #"{"allOf":[{"properties":{"y":{"minimum":1}}},{"properties":{"x":{},"y":{"maximum":2}}}],"type":"object","required":["x"],"additionalProperties":{"type":"null"}}"#,
            [#"{"x":null,"y":null}"#], [#"{"x":1}"#, #"{"y":null}"#, #"{"y":null,"x":null}"#]),
        SchemaTests.Row(
            #"{"type":"object","properties":{"a":{},"b":{},"c":{}},"dependentRequired":{"a":["c"],"c":["b"]},"minProperties":1,"additionalProperties":false}"#,
            [#"{"b":1}"#, #"{"b":1,"c":1}"#, #"{"a":1,"b":1,"c":1}"#],
            ["{}", #"{"c":1}"#, #"{"a":1,"c":1}"#, #"{"a":1}"#, #"{"a":1,"b":1}"#]),
        SchemaTests.Row(
            #"{"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2,"maxProperties":2,"additionalProperties":false}"#,
            [#"{"a":1,"b":1}"#, #"{"b":1,"c":1}"#, #"{"a":1,"c":1}"#],
            ["{}", #"{"c":1}"#, #"{"a":1,"b":1,"c":1}"#, #"{"b":1,"a":1}"#]),
        SchemaTests.Row(
            #"{"type":"object","properties":{"b":{},"a":false},"maxProperties":2,"patternProperties":{"^x":{"type":"integer"}}}"#,
            ["{}", #"{"b":1,"x":1}"#, #"{"x1":1,"y":"z"}"#, #"{"b":1}"#],
            [#"{"b":1,"x":1,"y":1}"#, #"{"x":1,"b":1}"#, #"{"a":1}"#, #"{"x":"1"}"#, #"{"\u0078":1}"#]),
        SchemaTests.Row(
            #"{"type":"object","not":{"additionalProperties":false,"properties":{"a":{}}}}"#,
            [#"{"b":1}"#, #"{"a":1,"b":1}"#], ["{}", #"{"a":1}"#]),
        SchemaTests.Row(
            #"{"const":{"b":"\/\"\u00e9\u0001\n\u007f","a":[1.50,{"\"":null}]}}"#,
            ["{\"b\":\"/\\\"é\\u0001\\n\u{7F}\",\"a\":[1.5, {\"\\\"\": null}]}"],
            [
                "{\"a\":[1.5,{\"\\\"\":null}],\"b\":\"/\\\"é\\u0001\\n\u{7F}\"}",
                "{\"b\":\"/\\\"é\\u0001\\u000a\u{7F}\",\"a\":[1.5,{\"\\\"\":null}]}",
                "{\"b\":\"\\/\\\"é\\u0001\\n\u{7F}\",\"a\":[1.5,{\"\\\"\":null}]}",
                "{\"b\":\"/\\\"\\u00e9\\u0001\\n\u{7F}\",\"a\":[1.5,{\"\\\"\":null}]}",
                "{\"b\":\"/\\\"é\\u0001\\n\u{7F}\",\"a\":[1.50,{\"\\\"\":null}]}",
            ]),
        SchemaTests.Row(
            #"{"type":"string","maxLength":2}"#, [#""\u001f\\""#, #""😀é""#],
            [#""\u001F""#, #""\u0061""#, #""\t\t\t""#, #""\u0009""#, #""\/""#, #""\"#]),
        SchemaTests.Row(
            #"{"type":"number"}"#, ["-1.25", "1e+21", "5e-324", "1.5e308", "1e16", "2e-07", "10.0"],
            [
                "1E5", "1e400", "1e309", "1e-325", "12e1", "1.\(String(repeating: "0", count: 25))",
                String(repeating: "1", count: 25),
            ]),
        SchemaTests.Row(
            #"{"type":"integer","minimum":0}"#, ["0", "123456789012345678901234"],
            ["00", "1.0", "-1", String(repeating: "1", count: 25)]),
        SchemaTests.Row(#"{"minimum":1.5,"type":"number"}"#, ["1.5", "2", "2.0", "1.75"], ["1.50", "2.00", "1.4"]),
        SchemaTests.Row(
            #"{"type":"integer","minimum":1e30}"#, ["1000000000000000000000000000000"], ["1", "1e30"]),
        SchemaTests.Row(
            #"{"type":"array","minItems":1}"#, ["[1]", "[1, 2,3]"], ["[]", "[ 1]", "[1 ]", "[1 ,2]", "[1,\n2]"]),
    ]

    @Test(arguments: rows) func texts(_ row: SchemaTests.Row) throws {
        let rules = GrammarRules()
        let node = try JSONSchemaLowering.node(row.schema, form: .canonical, rules: rules)
        let (all, others) = (GrammarRules(), GrammarRules())
        let any = try JSONSchemaLowering.node(row.schema, rules: all)
        let compact = try JSONSchemaLowering.node(row.schema, form: .compact, rules: others)
        for text in row.valid {
            #expect(Recogniser.accepts(text, node, rules), "\(text)")
            #expect(Recogniser.accepts(text, any, all), "\(text)")
            let hasSpace = text.contains(", ") || text.contains(": ")
            #expect(Recogniser.accepts(text, compact, others) != hasSpace, "\(text)")
        }
        for text in row.invalid {
            #expect(!Recogniser.accepts(text, node, rules), "\(text)")
            #expect(!Recogniser.accepts(text, compact, others), "\(text)")
        }
    }

    /// A schema of so many members; some of them required.
    private static func schema(_ count: Int, required: (Int) -> Bool) -> String {
        let names = (0..<count).map { "\"field_\($0)\"" }
        let types = ["{\"type\":\"integer\",\"minimum\":0,\"maximum\":99}", "{\"type\":\"string\",\"maxLength\":300}"]
        let properties = names.enumerated().map { "\($1):\(types[$0 % 2])" }.joined(separator: ",")
        let needed = names.enumerated().filter { required($0.offset) }.map(\.element).joined(separator: ",")
        return #"{"type":"object","properties":{\#(properties)},"required":[\#(needed)],"additionalProperties":false}"#
    }

    private static func text(_ count: Int, where isThere: (Int) -> Bool = { _ in true }) -> String {
        let members = (0..<count).filter(isThere).map { "\"field_\($0)\":" + ($0 % 2 == 0 ? "\($0 % 100)" : "\"x\"") }
        return "{\(members.joined(separator: ","))}"
    }

    @Test(arguments: [(200, 1), (200, 3), (200, 1_000), (1_000, 1), (1_000, 1_000)])
    func manyMembersCompile(count: Int, step: Int) throws {
        let source = Self.schema(count) { $0 % step == 0 && step < 1_000 }
        var compiled: CompiledGrammar?
        let time = try ContinuousClock().measure {
            compiled = try GrammarCompiler(vocabulary: Self.bytes, cacheCapacity: 1)
                .compile(.jsonSchema(source, form: .canonical))
        }
        let grammar = try #require(compiled)
        // Far less on a machine that is not busy.
        #expect(time < .seconds(count < 500 ? 10 : 60))
        #expect(grammar.matches(Array(Self.text(count).utf8)))
        #expect(grammar.matches(Array(Self.text(count) { $0 % 3 == 0 }.utf8)) == (step > 1))
        #expect(!grammar.matches(Array("{\"field_1\":\"x\",\"field_0\":1}".utf8)))
        #expect(grammar.positionCount < count * 40 + 1_000)
    }

    /// Where any order takes too many states, the schema's is kept.
    @Test func whatIsTooLargeInAnyOrderIsCanonical() throws {
        let compiler = GrammarCompiler(vocabulary: Self.bytes, cacheCapacity: 4)
        let source = GrammarSource.sequence([
            .literal("<"), .repetition(.jsonSchema(Self.schema(30) { _ in true }), minimum: 1, maximum: 2),
            .choice([.literal(">")]),
        ])
        try GrammarCompiler.check(source)
        let grammar = try compiler.compile(source)
        #expect(grammar.matches(Array("<\(Self.text(30))>".utf8)))
        #expect(!grammar.matches(Array("<\(Self.text(30)) >".utf8)))
        let backwards = "{\"field_2\":0,\"field_1\":\"\\u0078\",\n\"field_0\":1}"
        let small = try compiler.compile(.jsonSchema(Self.schema(3) { _ in true }))
        #expect(small.matches(Array(backwards.utf8)))
        // What is not a schema's fault stays refused.
        let many = GrammarSource.repetition(.literal("abcdefgh"), minimum: 0, maximum: 100_000)
        #expect(throws: GrammarError.self) { try compiler.compile(.sequence([many, many])) }
    }

    /// Texts sampled from the grammar are valid, and their members come as the schema has them.
    @Test(arguments: UInt64(1)...12) func sampledTextsAreValidAndInOrder(seed: UInt64) throws {
        var random = RandomJSON(seed: seed)
        let compiler = GrammarCompiler(vocabulary: Self.bytes, cacheCapacity: 1)
        var sampled = 0
        for _ in 0..<25 {
            let schema = random.schema(depth: 2)
            guard let grammar = try? compiler.compile(.jsonSchema(schema.text, form: .canonical)) else { continue }
            for _ in 0..<6 {
                guard let bytes = Self.sample(grammar, &random) else { continue }
                let text = String(decoding: bytes, as: UTF8.self)
                // Beyond what the plain validator's doubles hold.
                if text.split(whereSeparator: { !"0123456789.e".contains($0) }).contains(where: { $0.count > 12 }) {
                    continue
                }
                do {
                    let value = try JSONParser.parse(bytes)
                    #expect(PlainValidator.isValid(value, schema), "\(schema.text) for \(text)")
                    if let order = schema["properties"], case .object(let properties) = order,
                        case .object(let members) = value
                    {
                        let known = members.map(\.key).filter { name in properties.contains { $0.key == name } }
                        let expected = properties.map(\.key).filter(known.contains)
                        #expect(known == expected, "\(schema.text) for \(text)")
                        #expect(Array(members.map(\.key).prefix(known.count)) == known)
                    }
                    sampled += 1
                } catch {
                    // A name that a schema does not know may come twice.
                    #expect(error.problem.contains("stands twice"), "\(text): \(error)")
                }
            }
        }
        #expect(sampled >= 30)
    }

    /// A text drawn byte by byte, with a leaning to what ends it; `nil` where it grows long.
    private static func sample(_ grammar: CompiledGrammar, _ random: inout RandomJSON) -> [UInt8]? {
        var matcher = GrammarMatcher(grammar)
        var bytes: [UInt8] = []
        while bytes.count < 300 {
            if matcher.isComplete, matcher.mustEnd || random.next(4) == 0 { return bytes }
            let allowed = matcher.mask().tokens.filter { $0 < 256 }
            let marks = allowed.filter { "\"]},:".utf8.contains(UInt8($0)) }
            let token = !marks.isEmpty && random.next(2) == 0 ? random.pick(marks) : random.pick(allowed)
            guard matcher.accept(token) else { return nil }
            bytes.append(UInt8(token))
        }
        return nil
    }
}
