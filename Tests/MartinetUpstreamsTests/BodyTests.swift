import Foundation
import MartinetAPI
import MartinetFleet
import MartinetUpstreams
import NIOCore
import Testing

@Suite struct BodyTests {
    private func body(_ json: String) throws(APIError) -> UpstreamRequestBody {
        try UpstreamRequestBody(path: "/v1/completions", bytes: ByteBuffer(string: json))
    }

    @Test func factsAreRead() throws {
        let body = try body(#" {"a":{"model":"x"},"mod\u0065l":"é\"","stream" : true,"max_tokens":5,"b":"}"} "#)
        #expect(body.model == "é\"" && body.isStream && body.maxTokens == 5)
        let empty = try self.body("{}")
        #expect(empty.model == nil && !empty.isStream && empty.maxTokens == nil)
    }

    @Test(arguments: [
        "", " ", "[]", "{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}", "{\"a\":\"b}",
        "{\"a\":[1}", "{\"a\\\":1}", "{a:1}", "{\"model\":1}", "{\"model\":\"a\",\"model\":\"b\"}",
        "{\"model\":\"a\",\"m\\u006fdel\":\"b\"}", "{\"\\ud800\":1}", "{\"a\":\"\n\"}", "{\"a\":\"\\",
    ]) func whatIsNoRequestIsRefused(json: String) {
        #expect(throws: APIError.self) { try body(json) }
    }

    @Test func anyBytesAreSafe() {
        var generator = JitterGenerator(seed: 3)
        let alphabet = Array("{}[]\":,\\u0a1tn \n\u{7f}é".utf8) + [0, 0xFF, 0xC3]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).compactMap { _ in
                alphabet.randomElement(using: &generator)
            }
            _ = try? UpstreamRequestBody(path: "/v1/completions", bytes: ByteBuffer(bytes: [0x7B] + bytes))
        }
    }

    private let events =
        ": hello\n\ndata: {\"id\":\"1\",\"choices\":[{\"index\":0,\"text\":\"a\\\"\"}]}\r\n\r\nevent: x\ndata:{\"choices\":[{\"text\":"
        + "\"b\",\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n"

    private func filter() throws -> StreamFilter {
        let body = try body(#"{"prompt":"p","stream":true}"#)
        return StreamFilter(
            StreamFilter.Rules(body, maxEventBytes: 500, isContinuable: true), body: body, upstream: "up")
    }

    @Test func eventsMayBeCutAnywhere() throws {
        let bytes = Array(events.utf8)
        let wanted = events.replacing("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n", with: "")
        for first in 0...bytes.count {
            for second in stride(from: first, through: bytes.count, by: 7) {
                var filter = try filter()
                var output = ""
                for part in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                    output += String(buffer: filter.take(ByteBuffer(bytes: part)))
                }
                #expect(output == wanted, "cut at \(first) and \(second)")
                #expect(filter.isDone && filter.isFinished && filter.failure == nil)
            }
        }
    }

    @Test func anyEventsAreSafe() throws {
        var generator = JitterGenerator(seed: 5)
        let original = Array(events.utf8)
        for _ in 0..<5000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                default: bytes.insert(original.randomElement(using: &generator) ?? 0, at: place)
                }
            }
            var filter = try filter()
            let cut = Int.random(in: 0...bytes.count, using: &generator)
            let output =
                filter.take(ByteBuffer(bytes: bytes[..<cut])).readableBytes
                + filter.take(ByteBuffer(bytes: bytes[cut...])).readableBytes
            #expect(output <= bytes.count)
        }
    }

    @Test func anEventIsBounded() throws {
        var filter = try filter()
        var output = filter.take(ByteBuffer(string: "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: "))
        for _ in 0..<10 { _ = filter.take(ByteBuffer(string: String(repeating: "x", count: 90))) }
        #expect(filter.failure?.code == .tooLarge && filter.hasContent)
        #expect(output.readString(length: output.readableBytes)?.hasSuffix("]}\n\n") == true)
    }
}
