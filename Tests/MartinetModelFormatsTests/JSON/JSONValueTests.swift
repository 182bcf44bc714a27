import MartinetModelFormats
import Testing

@Suite struct JSONValueTests {
    @Test(
        arguments: [
            ("{}", .object([:])), ("[]", .array([])), (" null ", .null), ("true", .bool(true)), ("-0", .int(0)),
            ("123", .int(123)), ("-7", .int(-7)), ("1e5", .double(100_000)), ("0.5", .double(0.5)),
            ("9223372036854775808", .double(9_223_372_036_854_775_808)), ("Infinity", .double(.infinity)),
            ("-Infinity", .double(-.infinity)), (#""a\n\"\\\/\u00e9""#, .string("a\n\"\\/é")),
            (#""\ud83d\ude00""#, .string("😀")), (#""\ud83dx""#, .string("\u{FFFD}x")),
            (#""\ud83d\u0041""#, .string("\u{FFFD}A")), ("\u{FEFF}[1]", .array([.int(1)])),
            (#"{"a":{"b":[1,2]}}"#, .object(["a": .object(["b": .array([.int(1), .int(2)])])])),
        ] as [(String, JSONValue)])
    func reads(text: String, value: JSONValue) throws {
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "01", "-", "1.", "1e", "+1", "tru", "\"", "\"\\x\"", "\"\\u12\"",
        "\"\n\"", "[1 2]", "{1:2}", "nul", "1 1", "'a'", "\"\\ud83d\\u\"", String(repeating: "[", count: 100_000),
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test func saysWhere() {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: "{\"a\": tru}") }
        #expect(error?.offset == 6)
    }

    @Test func givesFieldsByPath() throws {
        let value = try JSONValue(
            parsing: #"{"rope":{"factor":8,"type":"llama3"},"eos":[1,2],"bos":3,"none":null,"size":4096.0,"on":true}"#)
        #expect(value["rope"]?["factor"]?.double == 8)
        #expect(value["rope"]?["type"]?.string == "llama3")
        #expect(value["eos"]?.ints == [1, 2])
        #expect(value["bos"]?.ints == [3])
        #expect(value["none"] == nil)
        #expect(value["size"]?.int == 4096)
        #expect(value["on"]?.bool == true)
        #expect(value["on"]?["x"]?[3] == nil)
        #expect(value["eos"]?[9] == nil)
        #expect(JSONValue.double(1e300).int == nil)
    }
}
