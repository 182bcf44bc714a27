import MartinetBenchmarks
import Testing

@Suite struct CompletionChunkTests {
    private func parse(_ text: String) throws -> CompletionChunk { try CompletionChunk(parsing: Array(text.utf8)) }

    @Test(arguments: [
        (#"{"choices":[{"index":0,"text":" a","finish_reason":null}]}"#, true, false),
        (#"{"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#, false, true),
        (#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false, false),
        (#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#, false, false),
        (#"{"choices":[{"delta":{"content":"\"}]"}}]}"#, true, false),
        (#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, true, false),
        (#"{"id":"text","object":"content","choices":[]}"#, false, false),
        (#"{"text":"a","delta":{"content":"b"},"finish_reason":"stop"}"#, false, false),
        (#" { "choices" : [ { "text" : "é" } ] , "x" : [ 1.5e3 , true , [ ] , { } ] } "#, true, false),
        (#"{"choices":[{"logprobs":{"content":[{"text":"a"}]},"text":""}]}"#, false, false),
    ])
    func textAndEnd(json: String, hasText: Bool, isFinished: Bool) throws {
        let chunk = try parse(json)
        #expect(chunk.hasText == hasText && chunk.isFinished == isFinished && !chunk.isError)
    }

    @Test func usage() throws {
        let chunk = try parse(
            #"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":345,"prompt_tokens_details":{"x":1}}}"#)
        #expect(chunk.promptTokens == 12 && chunk.completionTokens == 345)
        #expect(try parse(#"{"usage":null}"#).promptTokens == nil)
        // Counts that cannot be are no counts.
        let odd = try parse(#"{"usage":{"prompt_tokens":-1,"completion_tokens":99999999999999999999999999}}"#)
        #expect(odd.promptTokens == nil && odd.completionTokens == nil)
    }

    @Test func errors() throws {
        let chunk = try parse(#"{"error":{"message":"no room","code":503}}"#)
        #expect(chunk.isError && chunk.errorMessage == "no room")
        #expect(try parse(#"{"error":"plain"}"#).errorMessage == "plain")
        #expect(try parse(#"{"error":null,"choices":[]}"#).isError == false)
    }

    @Test(arguments: [
        "", " ", "null", "[]", "\"a\"", "{", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1}}", "{\"a\":tru}",
        "{\"a\":1 2}", "{\"a\":\"b}", "{\"a\":\"\\", "{\"a\":\"\\\"", "{\"a\":\"\n\"}", "{\"a\":[1,]}", "{a:1}",
        "[DONE]",
        "<html>", "{\"a\":-", "{\"a\":x}",
    ])
    func malformed(text: String) {
        #expect(throws: CompletionChunk.Malformed.self) { try parse(text) }
    }

    @Test func depthIsBounded() {
        let deep = "{\"a\":" + String(repeating: "[", count: 100_000)
        #expect(throws: CompletionChunk.Malformed.self) { try parse(deep) }
    }

    /// Cut or changed at any byte, a chunk is read or refused, and nothing else happens.
    @Test func surviveDamage() {
        let whole = Array(#"{"choices":[{"delta":{"content":"a\"b"},"finish_reason":null}],"usage":{"x":-1e9}}"#.utf8)
        var refused = 0
        for index in whole.indices {
            if (try? CompletionChunk(parsing: Array(whole[..<index]))) == nil { refused += 1 }
            for byte: UInt8 in [0, 0x22, 0x5C, 0x7B, 0x7D, 0xFF] {
                var changed = whole
                changed[index] = byte
                _ = try? CompletionChunk(parsing: changed)
            }
        }
        #expect(refused == whole.count)
    }
}
