import Foundation
import MartinetAPI
import MartinetEngine
import Testing

/// `/v1/embeddings`: what is decoded, and how vectors are spelled.
@Suite struct EmbeddingTests {
    private func decode(_ body: String) throws -> EmbeddingRequest {
        try EmbeddingRequest(JSONBody(Array(body.utf8)), model: .test)
    }

    @Test(arguments: [
        (#"{"input":"hi"}"#, [[104, 105]] as [[Int32]]), (#"{"input":["a","bc"]}"#, [[97], [98, 99]]),
        (#"{"input":[1,2,3]}"#, [[1, 2, 3]]), (#"{"input":[[1],[2,3]],"user":"u"}"#, [[1], [2, 3]]),
        (#"{"input":[1,2,3],"truncate_prompt_tokens":2}"#, [[2, 3]]),
    ]) func inputs(_ body: String, _ expected: [[Int32]]) throws {
        let requests = try decode(body).requests(id: "x", model: .test)
        #expect(requests.map(\.prompt) == expected)
        #expect(requests.allSatisfy { $0.embeds && $0.sampleCount == 1 })
    }

    @Test(arguments: [
        ("{}", "input"), (#"{"input":""}"#, "input"), (#"{"input":[]}"#, "input"), (#"{"input":7}"#, "input"),
        (#"{"input":["a",1]}"#, "input[1]"), (#"{"input":[["a"]]}"#, "input[0][0]"), (#"{"input":[-1]}"#, "input[0]"),
        (#"{"input":"a","encoding_format":"int8"}"#, "encoding_format"),
        (#"{"input":"a","encoding_format":1}"#, "encoding_format"),
        (#"{"input":"a","dimensions":0}"#, "dimensions"), (#"{"input":"a","dimensions":"2"}"#, "dimensions"),
        (#"{"input":"a","truncate_prompt_tokens":0}"#, "truncate_prompt_tokens"),
        (#"{"input":"a","normalize":1}"#, "normalize"), (#"{"input":"a","model":"other"}"#, "model"),
    ]) func badFields(_ body: String, _ field: String) throws {
        let error = #expect(throws: APIError.self) { try decode(body) }
        #expect(error?.parameter == field)
        #expect([400, 404].contains(error?.status ?? 0))
    }

    @Test func textsThatAreTooLong() throws {
        let body = "{\"input\":[\"a\",\"\(String(repeating: "a", count: 65))\"]}"
        let error = #expect(throws: APIError.self) { try decode(body).requests(id: "", model: .test) }
        #expect(error?.code == "context_length_exceeded")
        #expect(error?.parameter == "input[1]")
        let whole = "{\"input\":\"\(String(repeating: "a", count: 64))\"}"
        #expect(try decode(whole).requests(id: "", model: .test)[0].prompt.count == 64)
    }

    private func answer(_ body: String, _ vectors: [[Float]?]) throws -> [String: Any] {
        let results = vectors.map { values in
            var prompt = InferencePrompt(tokenCount: 3, cachedTokenCount: 0)
            prompt.embedding = values.map { Embedding(values: $0) }
            var result = InferenceResult(promptTokenCount: 3, sampleCount: 1)
            result.prompt = prompt
            return result
        }
        let answer = try EmbeddingAnswer(request: decode(body), model: .test).body(results)
        return try #require(JSONSerialization.jsonObject(with: Data(answer)) as? [String: Any])
    }

    @Test func vectorsAsNumbers() throws {
        let body = try answer(#"{"input":["a","b"]}"#, [[3, 4], [0.25, 0]])
        #expect(body["object"] as? String == "list")
        #expect(body["usage"] as? [String: Int] == ["prompt_tokens": 6, "total_tokens": 6])
        let data = try #require(body["data"] as? [[String: Any]])
        #expect(data.map { $0["index"] as? Int } == [0, 1])
        #expect(data[0]["object"] as? String == "embedding")
        #expect(data.map { ($0["embedding"] as? [Double])?.map { Float($0) } } == [[0.6, 0.8], [1, 0]])
    }

    @Test(arguments: [
        (#"{"input":"a","encoding_format":"base64"}"#, [0.6, 0.8] as [Float]),
        (#"{"input":"a","encoding_format":"base64","dimensions":1}"#, [1]),
        (#"{"input":"a","encoding_format":"base64","normalize":false}"#, [3, 4]),
        (#"{"input":"a","encoding_format":"base64","normalize":false,"dimensions":1}"#, [3]),
    ]) func vectorsAsBytes(_ body: String, _ expected: [Float]) throws {
        let answer = try answer(body, [[3, 4]])
        let data = try #require(answer["data"] as? [[String: Any]])
        let text = try #require(data[0]["embedding"] as? String)
        let bytes = try #require(Data(base64Encoded: text))
        let values = stride(from: 0, to: bytes.count, by: 4).map { start in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * $1) })
        }
        #expect(values == expected)
    }

    @Test func whatCannotBe() {
        let tooMany = #expect(throws: APIError.self) { try answer(#"{"input":"a","dimensions":3}"#, [[3, 4]]) }
        #expect(tooMany?.parameter == "dimensions")
        let missing = #expect(throws: APIError.self) { try answer(#"{"input":"a"}"#, [nil]) }
        #expect(missing?.status == 503)
    }
}
