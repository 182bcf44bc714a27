import Foundation
import MartinetAPI
import MartinetEngine
import MartinetJSON
import Testing

@Suite struct DecodingTests {
    @Test func nativeDefaults() throws {
        let request = try GenerateRequest.single(JSONBody(Array("{\"prompt\":\"hi\"}")), model: .test)
        #expect(request.fields.sampling.temperature == 0.7)
        #expect(request.fields.sampling.topP == 0.95)
        #expect(request.fields.sampling.maxTokens == 100)
        #expect(!request.stream)
        // The model holds 64 tokens: a default bends to that, where an explicit number would be refused.
        let inference = try request.requests(id: "x", model: .test)
        #expect(inference[0].sampling.maxTokens == 62)
        #expect(inference[0].prompt == [104, 105])
    }

    @Test func openAIDefaults() throws {
        var model = ServedModel.test
        model.defaults = SamplingDefaults(temperature: 0.6, topP: 0.9, topK: 20, minP: 0.1, repetitionPenalty: 1.1)
        let request = try CompletionRequest(JSONBody(Array("{\"prompt\":\"hi\"}")), model: model)
        #expect(request.fields.sampling.temperature == 0.6)
        #expect(request.fields.sampling.topP == 0.9)
        #expect(request.fields.sampling.topK == 20)
        #expect(request.fields.sampling.minP == 0.1)
        #expect(request.fields.sampling.repetitionPenalty == 1.1)
        #expect(request.fields.sampling.maxTokens == 16)
        let chat = try ChatRequest(JSONBody(Array(BadRequestTests.user("\"user\":\"u\""))), model: .test)
        #expect(chat.fields.sampling.temperature == 1)
        #expect(chat.fields.sampling.maxTokens == nil)
    }

    @Test func everyField() throws {
        let body = """
            {"model":"alias","prompt":[[1,2],[3]],"temperature":0,"top_p":1,"top_k":5,"min_p":0.5,"repetition_penalty":2,
            "presence_penalty":-2,"frequency_penalty":2,"seed":-1,"max_tokens":5,"min_tokens":2,"n":3,"best_of":3,
            "stop":["a","b"],"stop_token_ids":[1,2],"include_stop_str_in_output":true,"skip_special_tokens":false,
            "ignore_eos":true,"logit_bias":{"5":-100,"6":2.5},"logprobs":3,"prompt_logprobs":1,"bad_words":["x"," y"],
            "allowed_token_ids":[7],"priority":-3,"cache_salt":"s","return_token_ids":true,"echo":false,"user":"u",
            "metadata":{"a":"b"},"service_tier":"auto","stream":false,"unknown_field":{"x":[1]},"response_format":{"type":"text"}}
            """
        let request = try CompletionRequest(JSONBody(Array(body)), model: .test)
        let inference = try request.requests(id: "x", model: .test)
        #expect(inference.map(\.prompt) == [[1, 2], [3]])
        #expect(inference.map(\.id) == ["x-0", "x-1"])
        let sampling = inference[0].sampling
        #expect(sampling.seed == UInt64.max)
        #expect(sampling.logitBias == [5: -100, 6: 2.5])
        #expect(sampling.badWords == [[120], [32, 120], [32, 121]])
        #expect(sampling.allowedTokens == [7])
        #expect(sampling.stopTokens == [1, 2])
        #expect(sampling.logprobs == 3)
        #expect(sampling.promptLogprobs == 1)
        #expect(inference[0].sampleCount == 3)
        #expect(inference[0].stop == ["a", "b"])
        #expect(inference[0].includeStopText && !inference[0].skipSpecialTokens)
        #expect(inference[0].priority == -3 && inference[0].cacheSalt == "s")
    }

    @Test func truncation() throws {
        let long = String(repeating: "ab", count: 100)
        for (keep, expected) in [(10, 10), (-1, 63), (1000, 63)] {
            let request = try GenerateRequest.single(
                JSONBody(Array("{\"prompt\":\"\(long)\",\"truncate_prompt_tokens\":\(keep)}")), model: .test)
            #expect(try request.requests(id: "x", model: .test)[0].prompt.count == expected)
        }
    }

    @Test func errorBody() throws {
        let error = APIError(status: 400, "no \"x\"\n", parameter: "p", code: "c")
        let object = try JSONSerialization.jsonObject(with: Data(error.body)) as? [String: [String: String]]
        #expect(
            object == ["error": ["message": "no \"x\"\n", "type": "invalid_request_error", "param": "p", "code": "c"]])
    }
}

@Suite struct StreamEncodingTests {
    private func events(_ encoding: some StreamEncoding) throws -> [[String: Any]] {
        var encoding = encoding
        var writer = JSONWriter()
        var usage = Usage()
        let events: [InferenceEvent] = [
            .prompt(InferencePrompt(tokenCount: 3, cachedTokenCount: 1)),
            .output(InferenceDelta(index: 0, text: "He\"\n", tokens: [1])),
            .output(InferenceDelta(index: 0, text: "", tokens: [2])),
            .output(InferenceDelta(index: 0, text: "😀", tokens: [3])),
            .finished(index: 0, reason: .stop, stopText: "END"),
        ]
        for event in events {
            usage.add(event)
            encoding.encode(event, prompt: 0, usage: usage, into: &writer)
        }
        encoding.finish(usage, into: &writer)
        writer.raw(ServerSentEvents.done)
        let text = String(decoding: writer.bytes, as: UTF8.self)
        #expect(text.hasSuffix("data: [DONE]\n\n"))
        return try text.components(separatedBy: "\n\n").dropLast(2).map { line in
            #expect(line.hasPrefix("data: ") && !line.dropFirst(6).contains("\n"))
            return try #require(try JSONSerialization.jsonObject(with: Data(line.dropFirst(6).utf8)) as? [String: Any])
        }
    }

    @Test func chat() throws {
        let request = try ChatRequest(
            JSONBody(Array(BadRequestTests.user("\"stream\":true,\"stream_options\":{\"include_usage\":true}"))),
            model: .test)
        let chunks = try events(
            ChatAnswer(
                id: "c", created: 1, request: request,
                inference: InferenceRequest(id: "c", prompt: [1], sampling: SamplingParameters()), model: .test))
        let deltas = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first?["delta"] as? [String: Any] }
        #expect(deltas.first?["role"] as? String == "assistant")
        #expect(deltas.compactMap { $0["content"] as? String }.joined() == "He\"\n😀")
        let last = try #require(chunks.last)
        #expect((last["usage"] as? [String: Any])?["completion_tokens"] as? Int == 3)
        #expect((last["choices"] as? [Any])?.isEmpty == true)
        let end = (chunks[chunks.count - 2]["choices"] as? [[String: Any]])?.first
        #expect(end?["finish_reason"] as? String == "stop")
        #expect(end?["stop_reason"] as? String == "END")
    }

    @Test func completion() throws {
        let request = try CompletionRequest(
            JSONBody(
                Array(
                    "{\"prompt\":\"abc\",\"stream\":true,\"echo\":true,\"stream_options\":{\"continuous_usage_stats\":true}}"
                        .utf8)), model: .test)
        let answer = CompletionAnswer(id: "c", created: 1, request: request, prompts: [[97, 98, 99]], model: .test)
        let chunks = try events(answer)
        let texts = chunks.compactMap { ($0["choices"] as? [[String: Any]])?.first?["text"] as? String }
        #expect(texts.joined() == "abcHe\"\n😀")
        #expect(chunks.allSatisfy { $0["usage"] is [String: Any] })
    }

    @Test func native() throws {
        let request = try GenerateRequest.single(JSONBody(Array("{\"prompt\":\"abc\",\"stream\":true}")), model: .test)
        let chunks = try events(GenerateAnswer(id: "g", request: request, model: .test))
        let outputs = chunks.compactMap { ($0["outputs"] as? [[String: Any]])?.first }
        #expect(outputs.compactMap { $0["text"] as? String }.joined() == "He\"\n😀")
        #expect(outputs.flatMap { $0["token_ids"] as? [Int] ?? [] } == [1, 2, 3])
        #expect((chunks.last?["usage"] as? [String: Any])?["total_tokens"] as? Int == 6)
    }
}
