import MartinetBenchmarks
import Testing

@Suite struct CompletionStreamTests {
    /// What is seen of a stream whose parts come at the given times.
    private func record(_ parts: [(Double, String)], failure: RequestFailure? = nil) -> RequestRecord {
        var stream = CompletionStream()
        var early: RequestFailure?
        for (time, text) in parts where early == nil {
            Array(text.utf8).withUnsafeBytes { bytes in
                do throws(RequestFailure) { try stream.receive(bytes, at: time) } catch { early = error }
            }
        }
        return stream.finish(failure: early ?? failure)
    }

    private static func text(_ text: String) -> String { "data: {\"choices\":[{\"text\":\"\(text)\"}]}\n\n" }
    private static let done = "data: [DONE]\n\n"
    private static let end = "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"
    private static let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n"

    @Test func timesAndCounts() {
        let record = record([
            (0.5, Self.text("a")), (0.75, Self.text("b") + Self.text("")), (1.5, Self.text("c")),
            (1.6, Self.end + Self.usage + Self.done),
        ])
        #expect(record.failure == nil)
        #expect(record.firstText == 0.5 && record.lastText == 1.5)
        #expect(record.gaps == [0.25, 0.75])
        #expect(record.textChunks == 3 && record.outputTokens == 5 && record.promptTokens == 7)
        #expect(record.timePerOutputToken == 0.25)
    }

    @Test func chunksCountWhereTheServerDoesNot() {
        let record = record([(1, Self.text("a")), (2, Self.text("b")), (2, Self.end)])
        #expect(record.failure == nil && record.outputTokens == 2 && record.completionTokens == nil)
        #expect(record.timePerOutputToken == 1)
    }

    @Test func hostileStreamsAreFailures() {
        #expect(record([]).failure == .truncated)
        #expect(record([(1, Self.text("a"))]).failure == .truncated)
        #expect(record([(1, Self.done)]).failure == .empty)
        #expect(record([(1, Self.end)]).failure == .empty)
        #expect(record([(1, "<html>not a stream</html>")]).failure == .truncated)
        #expect(record([(1, "data: {broken\n\n")]).failure?.kind == "malformed_stream")
        #expect(record([(1, "data: {broken")]).failure?.kind == "malformed_stream")
        #expect(record([(1, "data: {\"error\":{\"message\":\"a\\u001bb\"}}\n\n")]).failure?.kind == "error_in_stream")
        let line = String(repeating: "x", count: 1 << 20)
        #expect(record([(1, "data: "), (1, line)]).failure == .oversized)
        let comment = ": " + String(repeating: "x", count: 1 << 19) + "\n"
        #expect(record((0...130).map { (Double($0), comment) }).failure == .oversized)
        #expect(record([(1, Self.text("a"))], failure: .timeout).failure == .timeout)
    }

    @Test func whatComesAfterTheEndDoesNotMatter() {
        let record = record([(1, Self.text("a") + Self.done + "data: nonsense\n\n")], failure: .timeout)
        #expect(record.failure == nil && record.outputTokens == 1)
        #expect(record.timePerOutputToken == nil)
    }

    @Test func failuresAreOneSafeLine() {
        let failure = RequestFailure("x", "a\u{1B}[2J\nb" + String(repeating: "y", count: 500))
        #expect(failure.message.hasPrefix("a [2J b") && failure.message.count == 200)
    }
}
