import MartinetGrammars
import Testing

@Suite struct SchemaTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var schema: String
        var valid: [String]
        var invalid: [String]
        init(_ schema: String, _ valid: [String], _ invalid: [String]) {
            self.schema = schema
            self.valid = valid
            self.invalid = invalid
        }
        var testDescription: String { schema }
    }

    static let rows = [
        Row(
            "true", ["null", "1e5", "-0.0", "[ ]", "{}", #"{"a" : [1, {"b":null}]}"#],
            ["", "01", "tru", "[1,]", " 1", "1 "]),
        Row(#"{"type":"integer"}"#, ["0", "-12", "-0"], ["1.0", "1e2", "01", "1.5", "\"1\""]),
        Row(#"{"type":"number","minimum":0}"#, ["0", "5.0", "19.90", "-0"], ["-1", "-0.001", "1e1"]),
        Row(
            #"{"type":"integer","minimum":-3,"exclusiveMaximum":120}"#, ["-3", "0", "99", "119"], ["-4", "120", "1000"]),
        Row(
            #"{"minimum":1.25,"maximum":10,"type":"number"}"#, ["1.25", "1.250", "9.99", "10.0"],
            ["1.2", "1.249", "10.01"]),
        Row(#"{"type":"number","multipleOf":0.01}"#, ["0.01", "1.5", "3", "0.010"], ["0.015"]),
        Row(#"{"type":"integer","multipleOf":15}"#, ["0", "30", "-45"], ["5", "31"]),
        Row(
            #"{"enum":[1,"1",null,[2],{"a":1.5}]}"#, ["1", #""1""#, "null", "[2]", #"{"a":1.5}"#, #"{"\u0061":1.50}"#],
            ["2", "[]", "[2,2]", "{}", #"{"a":1.5,"b":1}"#, #"{"a":1.5,"a":1.5}"#]),
        Row(
            #"{"const":"a/é😀"}"#, [#""a/é😀""#, #""a\/\u00e9\uD83d\uDE00""#, #""\u0061\u002F\u00E9😀""#],
            [#""a/e""#, #""a/é\ud83d""#, #""a/é\ude00\ud83d""#]),
        Row(
            #"{"type":"string","minLength":1,"maxLength":2}"#, [#""é""#, #""😀😀""#, #""\ud83d\ude00\n""#, #""\\\"""#],
            [#""""#, #""abc""#, "\"\n\"", #""\x""#]),
        Row(
            #"{"type":"string","pattern":"^[a-c]+$","maxLength":2}"#, [#""ab""#, #""\u0061""#],
            [#""abc""#, #""d""#, #""""#]),
        Row(#"{"type":"string","maxLength":100000}"#, [#""""#, #""abc""#], ["1"]),
        Row(
            #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"}},"required":["a"],"additionalProperties":false}"#,
            [#"{"a":1}"#, #"{"b":true,"a":1}"#, #"{ "a" : 1 , "b" : false }"#, #"{"\u0061":1}"#],
            ["{}", #"{"b":true}"#, #"{"a":1,"a":2}"#, #"{"a":1,"c":2}"#, #"{"a":true}"#, #"{"a":1,}"#]),
        Row(
            #"{"type":"object","properties":{"a":{"type":"integer"}}}"#, ["{}", #"{"b":"x","a":1}"#, #"{"aa":"x"}"#],
            [#"{"a":"x"}"#, #"{"\u0061":"x"}"#, #"{"a":1,"a":1}"#]),
        Row(
            #"{"type":"object","patternProperties":{"^n_":{"type":"number"}},"additionalProperties":{"type":"string"}}"#,
            [#"{"n_x":1,"y":"z"}"#], [#"{"n_x":"1"}"#, #"{"y":1}"#]),
        Row(
            #"{"type":"object","propertyNames":{"enum":["a","b"]},"minProperties":2}"#, [#"{"b":1,"a":2}"#],
            [#"{"a":1}"#, #"{"a":1,"a":2}"#, #"{"a":1,"b":2,"c":3}"#]),
        Row(#"{"type":"object","maxProperties":1}"#, ["{}", #"{"x":1}"#], [#"{"x":1,"y":2}"#]),
        Row(
            #"{"type":"object","dependentRequired":{"a":["b"]}}"#, ["{}", #"{"b":1}"#, #"{"a":1,"b":2}"#], [#"{"a":1}"#]
        ),
        Row(
            #"{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":1}"#,
            ["[1]", #"[1,"a"]"#], ["[]", #"["a"]"#, #"[1,"a",1]"#]),
        Row(
            #"{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}"#, ["[1,2]", "[1 , 2,\n3]"],
            ["[1]", "[1,2,3,4]"]),
        Row(
            #"{"type":"array","contains":{"const":1},"minContains":2,"maxContains":3}"#, ["[1,2,1]", "[1,1,1]"],
            ["[1]", "[1,1,1,1]"]),
        Row(
            #"{"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true}"#, ["[]", #"["c","a"]"#],
            [#"["a","a"]"#]),
        Row(#"{"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]}"#, ["1", #""a""#], [#""ab""#, "null"]),
        Row(
            #"{"allOf":[{"properties":{"a":{"minimum":2}},"required":["a"]},{"properties":{"a":{"maximum":3}}}],"type":"object"}"#,
            [#"{"a":2}"#, #"{"a":"x"}"#], [#"{"a":1}"#, #"{"a":4}"#]),
        Row(
            #"{"oneOf":[{"type":"integer","multipleOf":2},{"type":"integer","multipleOf":3}]}"#, ["2", "3"], ["6", "5"]),
        Row(
            #"{"oneOf":[{"type":"object","required":["a"]},{"type":"object","required":["b"]}]}"#,
            [#"{"a":1}"#, #"{"b":1,"c":2}"#],
            [#"{"a":1,"b":1}"#, "{}"]),
        Row(#"{"type":"string","not":{"enum":["a","b"]}}"#, [#""c""#, #""ab""#], [#""a""#, #""\u0062""#]),
        Row(
            #"{"type":"object","properties":{"k":{"enum":["x","y"]},"v":{}},"required":["k","v"],"if":{"properties":{"k":{"const":"x"}}},"then":{"properties":{"v":{"type":"integer"}}},"else":{"properties":{"v":{"type":"string"}}}}"#,
            [#"{"k":"x","v":1}"#, #"{"v":"s","k":"y"}"#], [#"{"k":"x","v":"s"}"#, #"{"v":1,"k":"y"}"#]),
        Row(
            ##"{"$defs":{"tree":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/tree"},{"type":"null"}]}},"required":["next"],"additionalProperties":false}},"$ref":"#/$defs/tree"}"##,
            [#"{"next":null}"#, #"{"next":{"next":{"next":null}}}"#], [#"{"next":{}}"#, "null"]),
        Row(
            #"{"type":"string","format":"date"}"#, [#""2024-02-29""#, #""2000-02-29""#],
            [#""2023-02-29""#, #""1900-02-29""#, #""2024-13-01""#]),
        Row(#"{"type":"integer","format":"int32"}"#, ["2147483647", "-2147483648"], ["2147483648"]),
        Row(#"{"minimum":9007199254740993,"type":"integer"}"#, ["9007199254740993"], ["9007199254740992"]),
    ]

    @Test(arguments: rows) func texts(_ row: Row) throws {
        let rules = GrammarRules()
        let node = try JSONSchemaLowering.node(row.schema, rules: rules)
        for text in row.valid { #expect(Recogniser.accepts(text, node, rules), "\(text)") }
        for text in row.invalid { #expect(!Recogniser.accepts(text, node, rules), "\(text)") }
    }

    @Test func whiteSpaceIsBounded() throws {
        let rules = GrammarRules()
        let node = try JSONSchemaLowering.node(#"{"type":"array"}"#, rules: rules, maximumSpace: 2)
        #expect(Recogniser.accepts("[  1\n\t,2]", node, rules))
        #expect(!Recogniser.accepts("[   1]", node, rules))
        let compact = try JSONSchemaLowering.node(#"{"type":"array"}"#, rules: rules, maximumSpace: 0)
        #expect(Recogniser.accepts("[1,2]", compact, rules))
        #expect(!Recogniser.accepts("[1, 2]", compact, rules))
    }

    @Test func largeCountsAreExact() throws {
        let rules = GrammarRules()
        let node = try JSONSchemaLowering.node(
            #"{"type":"array","items":{"const":1},"minItems":4100,"maxItems":5001}"#, rules: rules, maximumSpace: 0)
        func array(_ count: Int) -> String { "[\(repeatElement("1", count: count).joined(separator: ","))]" }
        for count in [4100, 4101, 4999, 5000, 5001] {
            #expect(Recogniser.accepts(array(count), node, rules), "\(count)")
        }
        for count in [4099, 5002] { #expect(!Recogniser.accepts(array(count), node, rules), "\(count)") }
    }

    static let refusals: [(schema: String, part: String, place: String?)] = [
        ("{", "not JSON", nil),
        ("[]", "must be an object or a boolean", nil),
        (#"{"properties":{"a":{"frobnicate":1}}}"#, "`frobnicate` is not supported", "/properties/a/frobnicate"),
        (#"{"items":{"minimum":"1"}}"#, "must be a number", "/items/minimum"),
        (#"{"type":"text"}"#, "seven types", "/type"),
        (#"{"type":"string","pattern":"("}"#, "not closed", "/pattern"),
        (#"{"type":"string","format":"postcode"}"#, "postcode", "/format"),
        (#"{"type":"array","uniqueItems":true}"#, "uniqueItems", nil),
        (##"{"$ref":"#/$defs/none"}"##, "leads to no schema", "/$ref"),
        (##"{"$ref":"https://example.com/a"}"##, "not fetched", "/$ref"),
        (##"{"$ref":"#"}"##, "refers to itself", nil),
        (#"{"type":"string","minLength":2,"maxLength":1}"#, "no JSON value", nil),
        (#"{"type":"integer","minimum":2,"maximum":1}"#, "no JSON value", nil),
        (##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "no JSON value", nil),
        (#"{"type":"object","required":["a"],"additionalProperties":false}"#, "no JSON value", nil),
        (
            #"{"oneOf":[{"additionalProperties":{"type":"string"}},{"additionalProperties":{"type":"integer"}}],"type":"object"}"#,
            "`oneOf`", "/oneOf"
        ),
        (#"{"not":{"patternProperties":{"^a":{"type":"string"}}}}"#, "`not`", "/not"),
        (#"{"minLength":-1}"#, "whole number", "/minLength"),
        (#"{"$dynamicRef":"a"}"#, "`$dynamicRef`", "/$dynamicRef"),
        (#"{"$schema":"https://example.com/mine"}"#, "dialect", "/$schema"),
    ]

    @Test(arguments: refusals.indices) func refusals(_ index: Int) {
        let (schema, part, place) = Self.refusals[index]
        do {
            _ = try JSONSchemaLowering.node(schema, rules: GrammarRules())
            Issue.record("\(schema) was taken")
        } catch {
            #expect(error.message.contains(part), "\(error)")
            if let place { #expect(error.place == place, "\(error)") }
        }
    }

    static let hostile: [String] = [
        String(repeating: #"{"items":"#, count: 60) + "true" + String(repeating: "}", count: 60),
        String(repeating: "[", count: 100_000),
        #"{"pattern":"(a|b)*a(a|b){40}"}"#, #"{"pattern":"(.*a){30}"}"#, #"{"pattern":"((a{500}){500}){500}"}"#,
        #"{"pattern":"a{99999999999999999999}"}"#, #"{"pattern":"^(x+x+)+y$"}"#,
        "{\"pattern\":\"\(String(repeating: "(", count: 10_000))\"}",
        #"{"minLength":1e12,"pattern":"^a*$"}"#, #"{"minLength":1e12}"#, #"{"maxLength":999999999999}"#,
        #"{"minItems":1e300}"#,
        #"{"minItems":1099511627776,"maxItems":1099511627776,"type":"array"}"#,
        #"{"maximum":1e308,"multipleOf":1e-308}"#,
        #"{"multipleOf":0}"#, #"{"minimum":1e-99999999999999999999}"#, #"{"const":1e99999}"#,
        "{\"enum\":[\((0..<20_000).map { "\"value \($0)\"" }.joined(separator: ","))]}",
        "{\"type\":\"object\",\"required\":[\((0..<5_000).map { "\"k\($0)\"" }.joined(separator: ","))]}",
        "{\"allOf\":[\((0..<40).map { "{\"anyOf\":[{\"required\":[\"a\($0)\"]},{\"required\":[\"b\($0)\"]}]}" }.joined(separator: ","))]}",
        "{\"oneOf\":[\((0..<200).map { "{\"required\":[\"a\($0)\"]}" }.joined(separator: ","))]}",
        "{\"patternProperties\":{\((0..<60).map { "\"a.*\($0)\":{\"minimum\":\($0)}" }.joined(separator: ","))}}",
        "{\"type\":\"array\",\"prefixItems\":[\((0..<5_000).map { "{\"const\":\($0)}" }.joined(separator: ","))]}",
        #"{"type":"array","items":{"enum":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22]},"uniqueItems":true}"#,
        #"{"type":"array","contains":{"const":1},"minContains":100000,"maxContains":200000}"#,
        ##"{"not":{"$ref":"#"}}"##, ##"{"anyOf":[{"$ref":"#"},{"type":"null"}]}"##,
        ##"{"$defs":{"a":{"items":{"$ref":"#/$defs/b"},"not":{"items":{"$ref":"#/$defs/a"}}},"b":{"items":{"allOf":[{"$ref":"#/$defs/a"},{"not":{"$ref":"#/$defs/b"}}]}}},"$ref":"#/$defs/a"}"##,
        ##"{"$ref":"#/%zz"}"##, ##"{"$id":"//","$ref":"..#%"}"##, #"{"type":["string","text"]}"#, #"{"required":{}}"#,
        #"{"properties":[]}"#, #"{"anyOf":[]}"#, #"{"items":[]}"#, #"{"type":[]}"#, #"{"enum":[]}"#,
        #"{"pattern":"\\"}"#,
    ]

    @Test(arguments: hostile.indices) func hostileSchemasEndSoon(_ index: Int) {
        let clock = ContinuousClock()
        let time = clock.measure {
            let rules = GrammarRules()
            // Either a grammar or an error will do.
            guard let node = try? JSONSchemaLowering.node(Self.hostile[index], rules: rules) else { return }
            _ = Recogniser.accepts(#"{"a":[1,"x"]}"#, node, rules)
        }
        #expect(time < .seconds(20), "\(Self.hostile[index].prefix(60)): \(time)")
        print("HOSTILE", index, time, Self.hostile[index].prefix(50))
    }
}
