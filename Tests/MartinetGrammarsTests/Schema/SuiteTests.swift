import Foundation
import MartinetGrammars
import MartinetJSON
import Testing

/// The JSON-Schema-Test-Suite, as `scripts/test-data.py` fetches it, and the table of its results in the documentation.
@Suite struct SuiteTests {
    struct Group: Decodable {
        struct Case: Decodable {
            var description: String
            var valid: Bool
            /// The value in several spellings with plain numbers.
            var texts: [String]
            /// The value with its numbers as the suite writes them.
            var asGiven: String

            /// The value as it may be written canonically: with its members in every order.
            var canonicalTexts: [String] {
                let value = texts.first.flatMap { try? JSONParser.parse(Array($0.utf8)) }
                return texts + [asGiven] + (value?.orderings().map(\.text) ?? [])
            }
        }
        var description: String
        var schema: String
        var tests: [Case]
    }

    struct Tally {
        var accepted = 0
        var refused = 0
        var unsupported = 0
        /// Cases that take `format` for an annotation; here it is an assertion.
        var annotation = 0
        var reasons: Set<String> = []
        var cases: Int { accepted + refused + unsupported + annotation }
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static let folder =
        (ProcessInfo.processInfo.environment["MARTINET_TEST_DATA"].map { URL(filePath: $0) }
        ?? root.appending(path: ".testdata")).appending(path: "json-schema")
    private static let page = root.appending(path: "docs/reference/json-schema.md")

    @Test func everyCaseIsRightOrRefusedByName() throws {
        try #require(
            FileManager.default.fileExists(atPath: Self.folder.path),
            "\(Self.folder.path) is missing: run scripts/test-data.py")
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).sorted()
        var rows: [(name: String, tally: Tally)] = []
        for name in names {
            let data = try Data(contentsOf: Self.folder.appending(path: name))
            rows.append((String(name.dropLast(5)), run(try JSONDecoder().decode([Group].self, from: data), of: name)))
        }
        #expect(rows.reduce(0) { $0 + $1.tally.cases } > 1_800)
        let table = Self.table(rows)
        if ProcessInfo.processInfo.environment["MARTINET_WRITE_TABLES"] != nil {
            let page = try String(contentsOf: Self.page, encoding: .utf8)
            let parts = page.components(separatedBy: "<!-- suite -->\n")
            try #require(parts.count == 3)
            try [parts[0], table, parts[2]].joined(separator: "<!-- suite -->\n")
                .write(to: Self.page, atomically: true, encoding: .utf8)
        }
        #expect(
            try String(contentsOf: Self.page, encoding: .utf8).contains(table),
            "docs/reference/json-schema.md is not this run's; write it with MARTINET_WRITE_TABLES=1")
    }

    private func run(_ groups: [Group], of name: String) -> Tally {
        var tally = Tally()
        for group in groups {
            let rules = GrammarRules()
            var node: GrammarNode?
            do {
                node = try JSONSchemaLowering.node(group.schema, rules: rules)
            } catch {
                // A schema that nothing matches is refused, too: that is right where all cases are invalid.
                guard error.message.hasPrefix("no JSON value") else {
                    tally.unsupported += group.tests.count
                    tally.reasons.insert(Self.reason(error.message))
                    continue
                }
            }
            let canonicalRules = GrammarRules()
            let canonical = try? JSONSchemaLowering.node(group.schema, form: .canonical, rules: canonicalRules)
            #expect((canonical == nil) == (node == nil), "\(name), \(group.description)")
            for test in group.tests {
                if test.description.hasSuffix("is only an annotation by default") {
                    tally.annotation += 1
                    continue
                }
                let isRight =
                    test.valid
                    ? test.texts.allSatisfy { text in node.map { Recogniser.accepts(text, $0, rules) } ?? false }
                    : !(test.texts + [test.asGiven]).contains { text in
                        node.map { Recogniser.accepts(text, $0, rules) } ?? false
                    }
                #expect(isRight, "\(name), \(group.description), \(test.description): \(test.texts[0])")
                let isWritten = test.canonicalTexts.contains { text in
                    canonical.map { Recogniser.accepts(text, $0, canonicalRules) } ?? false
                }
                #expect(
                    // A canonical number may not have more than 24 digits.
                    isWritten == test.valid || test.valid && Self.hasLongNumber(test.texts[0]),
                    "canonical: \(name), \(group.description), \(test.description): \(test.texts[0])")
                if test.valid { tally.accepted += 1 } else { tally.refused += 1 }
            }
        }
        return tally
    }

    private static func hasLongNumber(_ text: String) -> Bool {
        text.split(whereSeparator: { !"0123456789".contains($0) }).contains { $0.count > 24 }
    }

    /// A message without the names that it quotes.
    private static func reason(_ message: String) -> String {
        let parts = message.split(separator: "\"", omittingEmptySubsequences: false)
        return parts.indices.filter { $0 % 2 == 0 }.map { String(parts[$0]) }.joined(separator: "…")
    }

    private static func table(_ rows: [(name: String, tally: Tally)]) -> String {
        var lines = [
            "| File of the suite | Cases | Accepted rightly | Refused rightly | Not supported | Why |",
            "|---|---|---|---|---|---|",
        ]
        var total = Tally()
        for (name, tally) in rows {
            var reasons = tally.reasons.sorted()
            if tally.annotation > 0 { reasons.append("`format` is an assertion here (\(tally.annotation) cases)") }
            lines.append(
                "| \(name) | \(tally.cases) | \(tally.accepted) | \(tally.refused) | "
                    + "\(tally.unsupported + tally.annotation) | \(reasons.joined(separator: "; ")) |")
            total.accepted += tally.accepted
            total.refused += tally.refused
            total.unsupported += tally.unsupported + tally.annotation
        }
        lines.append(
            "| **all** | \(total.cases) | \(total.accepted) | \(total.refused) | \(total.unsupported) | |\n")
        return lines.joined(separator: "\n")
    }
}
