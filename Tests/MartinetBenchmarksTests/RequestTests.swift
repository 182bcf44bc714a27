import Foundation
import MartinetBenchmarks
import Synchronization
import Testing

@Suite struct RequestTests {
    @Test func wordsAreFixedBySeedAndIndex() {
        let prompt = BenchmarkPrompt.randomWords(count: 128, seed: 1, index: 2)
        #expect(prompt.text.split(separator: " ").count == 128)
        #expect(prompt == .randomWords(count: 128, seed: 1, index: 2))
        #expect(prompt != .randomWords(count: 128, seed: 1, index: 3))
        #expect(prompt != .randomWords(count: 128, seed: 2, index: 2))
    }

    @Test func promptFiles() throws {
        let text = """
            Why is the sky blue?

            {"prompt": "Once"}
            {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}
            """
        let prompts = try BenchmarkPrompt.parse(text, file: "p")
        #expect(prompts.map(\.text) == ["Why is the sky blue?", "Once", "Be brief.\nHi"])
        #expect(prompts[2].messages.map(\.role) == ["system", "user"])
    }

    @Test(arguments: ["", "\n \n", "{\"prompt\": 5}", "a\n{\"x\": 1}", "{\"messages\": []}", "{"])
    func promptFilesThatCannotBe(text: String) {
        #expect(throws: BenchmarkError.self) { try BenchmarkPrompt.parse(text, file: "p") }
    }

    @Test(arguments: CompletionRoute.allCases)
    func bodies(route: CompletionRoute) throws {
        var body = CompletionBody(route: route, model: "m", outputTokens: 9)
        let prompt = BenchmarkPrompt(text: "a \"b\"")
        func object() throws -> [String: Any] {
            try #require(try JSONSerialization.jsonObject(with: Data(try body.encoded(prompt))) as? [String: Any])
        }
        var json = try object()
        #expect(json["model"] as? String == "m" && json["max_tokens"] as? Int == 9 && json["stream"] as? Bool == true)
        #expect(json["ignore_eos"] as? Bool == true)
        #expect((json["stream_options"] as? [String: Bool]) == ["include_usage": true])
        switch route {
        case .completions: #expect(json["prompt"] as? String == "a \"b\"" && json["messages"] == nil)
        case .chat: #expect((json["messages"] as? [[String: String]]) == [["role": "user", "content": "a \"b\""]])
        }
        body.ignoresEndOfText = false
        body.includesUsage = false
        json = try object()
        #expect(json["ignore_eos"] == nil && json["stream_options"] == nil)
    }

    private final class Gauge: Sendable {
        private let state = Mutex((now: 0, most: 0))
        func enter() { state.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) } }
        func leave() { state.withLock { $0.now -= 1 } }
        var most: Int { state.withLock { $0.most } }
    }

    @Test func closedLoopsKeepTheirBound() async throws {
        let gauge = Gauge()
        let generator = LoadGenerator(pattern: .immediate, concurrency: 3, requests: 20)
        let (records, _) = try await generator.run { index in
            gauge.enter()
            for _ in 0..<10 { await Task.yield() }
            gauge.leave()
            var record = RequestRecord(failure: index == 4 ? .timeout : nil)
            record.textChunks = index
            return record
        }
        #expect(gauge.most <= 3)
        #expect(records.map(\.textChunks).sorted() == Array(0..<20))
        #expect(LoadReport(records: records, duration: 1).failures == ["timeout": 1])
    }

    @Test func durationsEnd() async throws {
        let generator = LoadGenerator(pattern: .constant(perSecond: 1000), duration: .milliseconds(10))
        let (records, _) = try await generator.run { _ in RequestRecord() }
        #expect((1...10).contains(records.count))
    }
}
