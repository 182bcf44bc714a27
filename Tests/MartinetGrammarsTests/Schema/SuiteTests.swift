import Foundation
import MartinetGrammars
import Testing

/// The JSON-Schema-Test-Suite, as `scripts/test-data.py` fetches it.
@Suite struct SuiteTests {
    struct Group: Decodable {
        struct Case: Decodable {
            var description: String
            var valid: Bool
            /// The value in several spellings with plain numbers.
            var texts: [String]
            /// The value with its numbers as the suite writes them.
            var asGiven: String
        }
        var description: String
        var schema: String
        var tests: [Case]
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    static let folder =
        (ProcessInfo.processInfo.environment["MARTINET_TEST_DATA"].map { URL(filePath: $0) }
        ?? root.appending(path: ".testdata")).appending(path: "json-schema")

    @Test func run() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
        for name in names {
            let groups = try JSONDecoder().decode([Group].self, from: Data(contentsOf: Self.folder.appending(path: name)))
            var (right, refused, wrong) = (0, 0, 0)
            for group in groups {
                let rules = GrammarRules()
                let start = ContinuousClock.now
                let node: GrammarNode
                do {
                    node = try JSONSchemaLowering.node(group.schema, rules: rules)
                } catch {
                    if error.message.hasPrefix("no JSON value") {
                        for test in group.tests { if test.valid { wrong += 1; print("WRONG EMPTY", name, group.description, test.description) } else { right += 1 } }
                    } else {
                        refused += group.tests.count
                        print("UNSUPPORTED", name, "|", group.description, "|", error)
                    }
                    continue
                }
                let time = ContinuousClock.now - start
                if time > .milliseconds(100) { print("SLOW", name, group.description, time) }
                for test in group.tests {
                    var failed: [String] = []
                    for text in test.texts where Recogniser.accepts(text, node, rules) != test.valid { failed.append(text) }
                    if !test.valid, Recogniser.accepts(test.asGiven, node, rules) { failed.append(test.asGiven) }
                    if failed.isEmpty { right += 1 } else { wrong += 1; print("WRONG", name, "|", group.description, "|", test.description, "|", test.valid, failed[0]) }
                }
            }
            print("FILE", name, right, refused, wrong)
        }
    }
}
