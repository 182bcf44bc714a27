import Foundation
import MartinetTemplates
import Testing

@Suite struct SpeedTests {
    /// Loose enough for an unoptimised build on a busy machine; the printed figure is what to look at.
    @Test func rendersShortChatQuickly() throws {
        let conversations = try Fixtures.read("conversations.json")
        let context = try #require(conversations.first { $0["name"]?.string == "turns" }?["context"]).context
        for name in ["own:chatml.jinja", "own:thinking.jinja", "meta-llama-Llama-3.1-8B-Instruct.jinja"] {
            let source = try Fixtures.source(of: name)
            let template = try ChatTemplate(source)
            let count = 200
            var bytes = 0
            let time = try ContinuousClock().measure {
                for _ in 0..<count { bytes += try template.render(context, clock: Fixtures.clock).utf8.count }
            }
            let reading = try ContinuousClock().measure { _ = try ChatTemplate(source) }
            print("\(name): \(time / count) to render \(bytes / count) bytes, \(reading) to read")
            #expect(time / count < .milliseconds(20))
        }
    }
}
