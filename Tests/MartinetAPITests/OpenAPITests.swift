import MartinetAPI
import MartinetJSON
import Testing

/// The document of the API: made of the decoders, complete, and true of the examples in it.
@Suite struct OpenAPITests {
    static let document: JSONValue? = try? JSONParser.parse(
        OpenAPIDocument.body(of: APIOperation.all, version: "1.2.3"))

    private func schema(_ path: String) throws -> JSONValue {
        let document = try #require(Self.document)
        let operation = document["paths"]?[path]?["post"]
        return try #require(operation?["requestBody"]?["content"]?["application/json"]?["schema"])
    }

    @Test func tellsBounds() throws {
        let temperature = try schema("/generate")["properties"]?["temperature"]?["anyOf"]?[0]
        #expect(temperature?["maximum"]?.integer == 100)
        let topP = try schema("/v1/chat/completions")["properties"]?["top_p"]?["anyOf"]?[0]
        #expect(topP?["exclusiveMinimum"]?.integer == 0)
    }

    @Test(arguments: [
        ("/generate", ["prompt"]), ("/generate_batch", ["prompts"]), ("/v1/chat/completions", ["messages"]),
        ("/v1/completions", ["prompt"]), ("/detokenize", ["tokens"]), ("/v1/embeddings", ["input"]),
        ("/v1/responses", ["input"]), ("/v1/messages", ["max_tokens", "messages"]),
        ("/v1/messages/count_tokens", ["messages"]),
        ("/v1/batches", ["input_file_id", "endpoint", "completion_window"]), ("/v2/models/{model}/infer", ["inputs"]),
        ("/v2/models/{model}/generate", ["text_input"]),
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

    @Test(arguments: [
        ("/v1/messages", "messages", "content"), ("/v1/responses", "input", "arguments"),
        ("/v2/models/{model}/infer", "inputs", "datatype"), ("/v1/messages", "tools", "input_schema"),
    ])
    func tellsWhatIsInsideOfEverySurface(_ path: String, _ list: String, _ member: String) throws {
        let items = try schema(path)["properties"]?[list]?["anyOf"]?[0]?["items"]
        #expect(items?["properties"]?[member] != nil)
    }

    /// A schema that an example of its own route does not match would be a lie: kinds are those that the example has.
    @Test func answersMayLackWhatSomeLack() throws {
        let batch = try #require(Self.document)["paths"]?["/v1/batches/{id}"]?["get"]?["responses"]?["200"]
        let schema = batch?["content"]?["application/json"]?["schema"]?["properties"]?["output_file_id"]
        #expect(schema?["type"]?[0]?.string == "null")
        #expect(schema?["type"]?[1]?.string == "string")
    }

    @Test(arguments: [
        ("/v1/messages", "AnthropicError"), ("/v2/models/{model}/infer", "OpenInferenceError"), ("/generate", "Error"),
        ("/v2/rerank", "Error"),
    ])
    func tellsTheShapeOfErrors(_ path: String, _ name: String) throws {
        let document = try #require(Self.document)
        let answer = document["paths"]?[path]?["post"]?["responses"]?["400"]
        let schema = answer?["content"]?["application/json"]?["schema"]
        #expect(schema?["$ref"]?.string == "#/components/schemas/\(name)")
        #expect(document["components"]?["schemas"]?[name]?["required"] != nil)
    }

    @Test func describesEveryMember() throws {
        guard case .object(let paths)? = try #require(Self.document)["paths"] else { return }
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
