import MartinetGrammars
import Testing

@Suite struct RegularTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var pattern: String
        var taken: [String]
        var refused: [String]
        init(_ pattern: String, _ taken: [String], _ refused: [String]) {
            self.pattern = pattern
            self.taken = taken
            self.refused = refused
        }
        var testDescription: String { pattern }
    }

    static let whole = [
        Row("a|bc*", ["a", "b", "bcc"], ["", "ab", "c"]),
        Row("(?:ab){2,3}", ["abab", "ababab"], ["ab", "abababab"]),
        Row("(?<year>[0-9]{4})-\\d{2}", ["2026-11"], ["26-11", "2026-1", "٢٠٢٦-11"]),
        Row("x{2,}?y??", ["xx", "xxxy"], ["x", "xy"]),
        Row("^a$", ["a"], ["", "aa"]),
        Row(".", ["é", "😀", "e"], ["\n", "\u{2028}", "e\u{301}", ""]),
        Row("[^a-c\\d-]", ["d", "\n", "😀"], ["a", "b", "5", "-"]),
        Row("[]]?[\\]\\\\]", ["]", "\\"], ["", "[]"]),
        Row("\\u{1F600}\\uD83D\\uDE00\\x41\\t", ["😀😀A\t"], ["😀A\t"]),
        Row("\\p{Lu}\\p{L}*\\P{L}", ["Éa1", "A "], ["éa1", "Aa"]),
        Row("\\p{General_Category=Decimal_Number}+", ["12", "٣"], ["½", ""]),
        Row("\\bfoo\\b.*", ["foo", "foo bar"], ["foobar"]),
        Row("a\\Bb|a\\b-", ["ab", "a-"], ["a"]),
        Row("(?=.*[0-9])(?=.*[a-z]).{3,5}", ["a1b", "12a45"], ["123", "abc", "a1"]),
        Row("(?!foo|bar)[a-z]+", ["fo", "baz"], ["foo", "barn"]),
        Row("(a|b)*abb", ["abb", "babb"], ["ab", "abba"]),
        Row("a{x", ["a{x"], ["a"]),
        Row("(|a)(b|)", ["", "a", "b", "ab"], ["ba"]),
        Row("\\cJ\\0\\/\\.", ["\n\0/."], ["J0/."]),
    ]

    @Test(arguments: whole) func wholeTexts(_ row: Row) throws {
        let node = try RegularLowering.node(regex: row.pattern)
        for text in row.taken { #expect(Recogniser.accepts(text, node, GrammarRules()), "\(text)") }
        for text in row.refused { #expect(!Recogniser.accepts(text, node, GrammarRules()), "\(text)") }
    }

    static let searched = [
        Row("b", ["abc", "b"], ["", "ac"]),
        Row("^a|z$", ["abc", "xyz"], ["bac", "zy"]),
        Row("^$", [""], ["a"]),
        Row("^(?!-)[a-z-]+$", ["a-b"], ["-a", ""]),
        Row("a(?=b)", ["xab"], ["ac", "ba"]),
        Row("a(?!b)", ["xac", "aba"], ["ab", "xb"]),
        Row("\\bcat\\b", ["a cat!", "cat"], ["concat", "cats"]),
    ]

    @Test(arguments: searched) func patterns(_ row: Row) throws {
        let language = try RegularLanguage(searching: row.pattern, Effort())
        for text in row.taken { #expect(language.contains(text), "\(text)") }
        for text in row.refused { #expect(!language.contains(text), "\(text)") }
    }

    @Test(arguments: [
        "(", ")", "a**", "*", "[a", "[z-a]", "\\1", "(a)\\k<x>", "(?<=a)b", "(?i)a", "\\Z", "\\a", "\\", "a{3,2}",
        "\\p{Foo}",
        "\\uD800", "(?:(?!x).)*", "a++", "\\b+", "[^\\s\\S]", "(?=a)b", "(a{1000}){1000}",
    ]) func refused(_ pattern: String) {
        #expect(throws: GrammarError.self) { try RegularLowering.node(regex: pattern) }
    }

    @Test func textBeforeAMarker() throws {
        let node = try RegularLowering.node(textBefore: "</think>")
        let rules = GrammarRules()
        #expect(Recogniser.accepts("</think>", node, rules))
        #expect(Recogniser.accepts("é <</thin</think>", node, rules))
        #expect(!Recogniser.accepts("a</think>b</think>", node, rules))
        #expect(!Recogniser.accepts("a</think", node, rules))
        #expect(!Recogniser.accepts([0xC3] + Array("</think>".utf8), node, rules))
        let doubled = try RegularLowering.node(textBefore: "aa")
        #expect(Recogniser.accepts("baa", doubled, rules))
        #expect(!Recogniser.accepts("aaa", doubled, rules))
    }

    @Test func bytesOfScalarsAreExact() throws {
        // Every scalar's UTF-8 is taken, and nothing else: surrogates, overlong forms, what lies beyond the last.
        let node = try RegularLowering.node(regex: "[^]")
        let rules = GrammarRules()
        for value in stride(from: UInt32(0), through: 0x10FFFF, by: 97) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            #expect(Recogniser.accepts(String(Character(scalar)), node, rules))
        }
        let broken: [[UInt8]] = [
            [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x90, 0x80, 0x80], [0x80], [0xE2, 0x82], [0xFF],
        ]
        for bytes in broken { #expect(!Recogniser.accepts(bytes, node, rules)) }
    }

    @Test func languagesCombine() throws {
        let effort = Effort()
        let even = try RegularLanguage(whole: "(aa)*", effort)
        let triple = try RegularLanguage(whole: "(aaa)*", effort)
        let both = try even.intersection(triple, effort)
        #expect(both == (try RegularLanguage(whole: "(a{6})*", effort)))
        #expect(try both.union(even, effort) == even)
        #expect(try even.complement(effort).complement(effort) == even)
        #expect(try even.subtracting(even, effort).isEmpty)
        #expect(try RegularLanguage(words: ["b", "a", "ab"], effort).words(atMost: 3) == ["a", "ab", "b"])
        #expect(even.words(atMost: 100) == nil)
        #expect(try RegularLanguage(minimumLength: 2, maximumLength: 3, effort).contains("éé"))
    }
}
