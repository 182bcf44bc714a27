import MartinetAPI
import MartinetJSON
import Testing

/// The document of the API: made of the decoders, complete, and true of the examples in it.
@Suite struct OpenAPITests {
    static let document: JSONValue? = try? JSONParser.parse(
        OpenAPIDocument.body(of: APIOperation.native + APIOperation.openAI + APIOperation.status, version: "1.2.3"))

    private func schema(_ path: String) throws -> JSONValue {
        let document = try #require(Self.document)
        let operation = document["paths"]?[path]?["post"]
        return try #require(operation?["requestBody"]?["content"]?["application/json"]?["schema"])
    }

    @Test func tellsBounds() throws {
        let temperature = try schema("/generate")["properties"]?["temperature"]?["anyOf"]?[1]
        #expect(temperature?["maximum"]?.integer == 100)
        let topP = try schema("/v1/chat/completions")["properties"]?["top_p"]?["anyOf"]?[1]
        #expect(topP?["exclusiveMinimum"]?.integer == 0)
    }

    @Test(arguments: [
        ("/generate", ["prompt"]), ("/generate_batch", ["prompts"]), ("/v1/chat/completions", ["messages"]),
        ("/v1/completions", ["prompt"]), ("/detokenize", ["tokens"]),
    ])
    func tellsWhatIsRequired(_ path: String, _ names: [String]) throws {
        guard case .array(let required)? = try schema(path)["required"] else {
            Issue.record("nothing is required on \(path)")
            return
        }
        #expect(required.compactMap(\.string) == names)
    }

    @Test func tellsWhatIsInside() throws {
        let messages = try schema("/v1/chat/completions")["properties"]?["messages"]?["anyOf"]?[0]
        let message = messages?["items"]
        #expect(message?["properties"]?["role"]?["enum"]?[0]?.string == "system")
        #expect(message?["properties"]?["tool_calls"] != nil)
    }

    @Test func describesEveryMember() throws {
        guard case .object(let paths)? = Self.document?["paths"] else { return }
        var missing: Set<String> = []
        func walk(_ schema: JSONValue, _ path: String) {
            if case .object(let properties)? = schema["properties"] {
                for (name, property) in properties {
                    if property["description"] == nil { missing.insert("\(path).\(name)") }
                    walk(property, "\(path).\(name)")
                }
            }
            if case .array(let choices)? = schema["anyOf"] { for choice in choices { walk(choice, path) } }
            if let items = schema["items"] { walk(items, path + "[]") }
        }
        for (path, methods) in paths {
            guard let schema = methods["post"]?["requestBody"]?["content"]?["application/json"]?["schema"] else {
                continue
            }
            walk(schema, path)
        }
        #expect(missing.sorted() == [])
    }
}
