import Foundation
import MartinetJSON
import Testing

@Suite struct JSONParserTests {
    @Test(arguments: [
        "", " ", "{", "}", "[", "]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[1 2]", "{a:1}", "'a'", "nul",
        "tru", "falsee", "True", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1e999",
        "-1e999", "0x10", "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"",
        "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\u{1}\"", "\"a\nb\"", "{\"a\":1,\"a\":2}", "{\"a\":1 \"b\":2}",
        "{\"\\u0061\":1,\"a\":2}", "[1]]", "1 2", "/* c */1", "[1,,2]", "{,}", "\u{FEFF}{}",
    ])
    func refuses(_ text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(Array(text)) }
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xC0, 0x80, 0x22],
            [0x22, 0xF5, 0x80, 0x80, 0x80, 0x22], [0xFF], [0x00], [0x22, 0xE2, 0x82, 0x22],
        ] as [[UInt8]])
    func refusesInvalidUTF8(_ bytes: [UInt8]) {
        #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(bytes) }
    }

    @Test func bounds() throws {
        let deep = JSONParser.maximumDepth
        _ = try JSONParser.parse(Array(String(repeating: "[", count: deep) + String(repeating: "]", count: deep)))
        for bomb in ["[", "{\"a\":", "[{\"a\":"] {
            #expect(throws: JSONSyntaxError.self) {
                try JSONParser.parse(Array(String(repeating: bomb, count: 100_000)))
            }
        }
        let many = "[" + String(repeating: "0,", count: JSONParser.maximumValues + 1) + "0]"
        #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(Array(many)) }
        #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(Array(String(repeating: "1", count: 5000))) }
    }

    @Test func reads() throws {
        let value = try JSONParser.parse(
            Array(
                " {\"s\":\"a\\n\\u00e9\\ud83d\\ude00ü\",\"i\":-12,\"d\":1.5e2,\"big\":18446744073709551616,\"l\":[true,null]} "
            ))
        #expect(value["s"]?.string == "a\né😀ü")
        #expect(value["i"]?.integer == -12)
        guard case .double(150)? = value["d"], case .double(18_446_744_073_709_551_616)? = value["big"],
            case .bool(true)? = value["l"]?[0], case .null? = value["l"]?[1]
        else {
            Issue.record("\(value)")
            return
        }
    }

    /// Random documents: what Foundation writes is read back the same by ours, and what ours writes by Foundation.
    @Test func agreesWithFoundation() throws {
        var random = SeededRandom(state: 11)
        for _ in 0..<500 {
            let object = Self.randomValue(depth: 4, using: &random)
            let data = try JSONSerialization.data(withJSONObject: ["v": object])
            var writer = JSONWriter()
            writer.value(try JSONParser.parse(Array(data)))
            let back = try JSONSerialization.jsonObject(with: Data(writer.bytes))
            let expected = try JSONSerialization.jsonObject(with: data)
            #expect(back as? NSDictionary == expected as? NSDictionary)
        }
    }

    /// Any change of a valid document gives a value or an error, never a trap.
    @Test func survivesMutation() throws {
        var random = SeededRandom(state: 11)
        let seed = Array(
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\\ud83d\\ude00\"}],\"n\":1e3,\"s\":[1,-2.5,null,true]}"
        )
        var parsed = 0
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: position)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: position)
                }
            }
            if (try? JSONParser.parse(bytes)) != nil { parsed += 1 }
        }
        #expect(parsed > 0)
    }

    static func randomValue(depth: Int, using random: inout SeededRandom) -> Any {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &random) {
        case 0: return NSNull()
        case 1: return Bool.random(using: &random)
        case 2: return Int.random(in: -1_000_000...1_000_000, using: &random)
        case 3: return Double(Int.random(in: -1000...1000, using: &random)) / 8
        case 4: return randomText(using: &random)
        case 5:
            return (0..<Int.random(in: 0...4, using: &random)).map { _ in randomValue(depth: depth - 1, using: &random)
            }
        default:
            var object: [String: Any] = [:]
            for index in 0..<Int.random(in: 0...4, using: &random) {
                object["\(index)" + randomText(using: &random)] = randomValue(depth: depth - 1, using: &random)
            }
            return object
        }
    }

    static func randomText(using random: inout SeededRandom) -> String {
        var text = ""
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            let limit: UInt32 = [0x80, 0x800, 0x3000, 0x1_0FFFF].randomElement(using: &random) ?? 0x80
            if let scalar = Unicode.Scalar(UInt32.random(in: 0...limit, using: &random)), scalar != "\u{FEFF}" {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

@Suite struct JSONWriterTests {
    @Test func escapesEveryScalar() throws {
        for start in stride(from: UInt32(0), to: 0x11_0000, by: 0x1000) {
            var text = ""
            for value in start..<start + 0x1000 {
                if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
            }
            var writer = JSONWriter()
            writer.array { $0.value(text) }
            let back = try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? [String]
            #expect(back?.first?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
        }
    }

    @Test func numbersStayJSON() throws {
        var writer = JSONWriter()
        writer.array { writer in
            for number in [0.1, -1e-7, 1e300, .infinity, -.infinity, .nan, 5, -0.0] { writer.value(number) }
        }
        let back = try JSONSerialization.jsonObject(with: Data(writer.bytes)) as? [Any]
        #expect(back?.count == 8)
    }
}
