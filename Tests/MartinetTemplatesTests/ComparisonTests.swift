import Foundation
import MartinetTemplates
import Testing

/// Compares with what Python's Jinja2 gave in the environment of `transformers`.
@Suite struct ComparisonTests {
    static let templates = (try? Fixtures.read("renderings.json").compactMap { $0["template"]?.string }) ?? []

    private func outcome(
        _ source: String, _ context: [String: TemplateValue]
    ) -> (expectation: Fixtures.Expectation, error: TemplateError?) {
        do throws(TemplateError) {
            return (.text(try ChatTemplate(source).render(context, clock: Fixtures.clock)), nil)
        } catch {
            return (error.code == .raised ? .raised(error.message) : .failed, error)
        }
    }

    @Test("Real and own templates over all conversations", arguments: templates)
    func rendersTemplate(_ name: String) throws {
        let renderings = try Fixtures.read("renderings.json")
        let results = try #require(renderings.first { $0["template"]?.string == name }?["results"]).items
        let conversations = try Fixtures.read("conversations.json")
        #expect(results.count == conversations.count)
        let source = try Fixtures.source(of: name)
        var counts = [0, 0, 0]
        for (conversation, result) in zip(conversations, results) {
            let context = try #require(conversation["context"]).context
            let (given, error) = outcome(source, context)
            let expected = Fixtures.Expectation(result)
            #expect(
                given == expected, "\(name), \(conversation["name"]?.string ?? ""): \(error?.description ?? "rendered")"
            )
            switch expected {
            case .text: counts[0] += 1
            case .raised: counts[1] += 1
            case .failed: counts[2] += 1
            }
        }
        print("\(name): \(counts[0]) rendered, \(counts[1]) raised, \(counts[2]) failed in both")
        #expect(counts[0] > 0)
    }

    @Test func thereAreTemplatesOfManyFamilies() {
        #expect(Self.templates.filter { !$0.contains(":") }.count == 17)
        #expect(Self.templates.filter { $0.hasPrefix("gguf:") }.count >= 1)
        #expect(Self.templates.filter { $0.hasPrefix("own:") }.count >= 9)
    }

    @Test("Snippets of the language", arguments: [("snippets.json", 500), ("random.json", 700)])
    func rendersSnippets(_ file: String, _ least: Int) throws {
        let context = try #require(try Fixtures.read("snippet-context.json").first).context
        let snippets = try Fixtures.read(file)
        #expect(snippets.count >= least)
        var failing = 0
        for snippet in snippets {
            let source = try #require(snippet[0]?.string)
            let expected = Fixtures.Expectation(try #require(snippet[1]))
            let (given, error) = outcome(source, context)
            #expect(given == expected, "\(source) \(error?.description ?? "")")
            if expected == .failed { failing += 1 }
        }
        print("\(file): \(snippets.count) snippets, \(failing) of them fail in both")
    }
}
