import MartinetGrammars
import Testing

@Suite struct NotationTests {
    static let vocabulary = GrammarVocabulary(tokens: (0...255).map { [UInt8($0)] } + [nil], endTokens: [256])

    static func matches(_ source: GrammarSource, _ text: String) throws -> Bool {
        try matches(source, bytes: Array(text.utf8))
    }

    static func matches(_ source: GrammarSource, bytes: [UInt8]) throws -> Bool {
        try GrammarCompiler(vocabulary: vocabulary, cacheCapacity: 1).compile(source).matches(bytes)
    }

    struct Case: CustomTestStringConvertible {
        let grammar: String
        let accepts: [String]
        let refuses: [String]

        var testDescription: String { grammar }

        init(_ grammar: String, _ accepts: [String], not refuses: [String]) {
            self.grammar = grammar
            self.accepts = accepts
            self.refuses = refuses
        }
    }

    @Test(arguments: [
        Case(#"root ::= "a" | "b" "c""#, ["a", "bc"], not: ["", "b", "ac", "abc"]),
        Case(#"root ::= "\n\t\"\\\x41\u00e9\U0001F600""#, ["\n\t\"\\A\u{e9}\u{1F600}"], not: ["n"]),
        Case(#"root ::= [a-c_\]-]+ # letters"#, ["a", "abc_]-"], not: ["", "d", "["]),
        Case(#"root ::= [^a-y]"#, ["z", "A", "\u{e9}", "\u{4e2d}", "\u{1F600}"], not: ["a", "y", "zz"]),
        Case(
            #"root ::= [\u00e0-\u4e2d]"#, ["\u{e9}", "\u{7ff}", "\u{800}", "\u{4e2d}"],
            not: ["a", "\u{4e2e}", "\u{df}"]),
        Case(#"root ::= ."#, ["a", "\n", "\u{10FFFF}", "\u{D7FF}", "\u{E000}"], not: ["", "ab"]),
        Case(#"root ::= ("ab" | "c")* "d"?"#, ["", "ab", "cab", "abd", "d"], not: ["a", "dd", "da"]),
        Case(#"root ::= "a"{2} "b"{1,} "c"{0,2} "d"{,1}"#, ["aab", "aabbccd"], not: ["ab", "aa", "aabccc", "aabdd"]),
        Case("root ::= (\n  \"a\" # one\n  | \"b\"\n) item*\nitem ::= \",\" |\n \";\"", ["a", "b,;"], not: ["", ","]),
        Case("# first\n\nroot ::= a-1\n\na-1 ::= \"x\" a-1 \"y\" | \"\"\n", ["", "xy", "xxyy"], not: ["x", "xyy"]),
        Case(#"root ::= root "+" root | "1""#, ["1", "1+1", "1+1+1"], not: ["", "+", "1+"]),
        Case(
            "root ::= a \"x\" | \"y\"\na ::= b \"z\" | root\nb ::= a | \"q\"", ["y", "yx", "qzx", "qzzxx"],
            not: ["x", "q", "qz"]),
    ]) func readsGBNF(_ sample: Case) throws { try Self.check(sample) }

    @Test(arguments: [
        Case("start: \"a\" | \"b\" \"c\" -> named", ["a", "bc"], not: ["", "b"]),
        Case(
            "// all\n?start: (item \",\")* item // here\n\nitem: NUMBER\n  | WORD\n%import common.NUMBER\n%import common (WORD, WS)",
            ["1", "ab,2.5e+3,c"], not: ["", ",", "1,", "-1"]),
        Case(
            "start: \"select\"i \" \" NAME\nNAME.2: (\"a\"..\"z\")+", ["select x", "SELECT abc", "SeLeCt z"],
            not: ["select ", "selec x"]),
        Case("start: A~2 [B] C~1..2\nA: \"a\"\nB: \"b\"\nC: \"c\"", ["aac", "aabcc"], not: ["ac", "aabccc"]),
        Case("start: /[a-z]+\\/\\d{2}/ \"!\"", ["ab/12!"], not: ["ab12!", "ab/1!"]),
        Case("start: /a.b/s", ["a\nb", "axb"], not: ["ab"]),
        Case("start: S\n%import common.ESCAPED_STRING -> S", ["\"\"", "\"a\\\"b\""], not: ["\"", "\"\\\"", "\"\n\""]),
        Case("start: C \"x\"\n%import common.C_COMMENT -> C", ["/**/x", "/* * / **/x"], not: ["/*/x", "/**/**/x"]),
        Case("start:\n  | \"a\"\n  | \"b\"", ["a", "b"], not: ["", "ab"]),
        Case(
            "start: expr\nexpr: expr \"+\" term | term\nterm: term \"*\" atom | atom\natom: \"(\" expr \")\" | INT\n%import common.INT",
            ["1", "1+2*3", "(1+2)*3+(4)"], not: ["1+", "()", "(1"]),
    ]) func readsLark(_ sample: Case) throws { try Self.check(sample) }

    static func check(_ sample: Case) throws {
        for text in sample.accepts { #expect(try matches(.ebnf(sample.grammar), text), "\(text)") }
        for text in sample.refuses { #expect(try !matches(.ebnf(sample.grammar), text), "\(text)") }
    }

    @Test func neverMatchesSurrogates() throws {
        for source in ["root ::= .", "root ::= [^a]", #"root ::= [\uD7FF-\uE000]"#] {
            #expect(try !Self.matches(.ebnf(source), bytes: [0xED, 0xA0, 0x80]))
            #expect(try Self.matches(.ebnf(source), bytes: [0xED, 0x9F, 0xBF]))
            #expect(try Self.matches(.ebnf(source), bytes: [0xEE, 0x80, 0x80]))
            #expect(try !Self.matches(.ebnf(source), bytes: [0xC0, 0x80]))
            #expect(try !Self.matches(.ebnf(source), bytes: [0xF4, 0x90, 0x80, 0x80]))
        }
    }

    @Test(arguments: [
        ("", "root"), ("root", "line 1, column 5"), ("root ::= \"a", "line 1, column 12"), ("root ::= item", "item"),
        ("root ::= \"a\"\n\nroot ::= \"b\"", "line 3"), ("root ::= root", "matches no text"),
        ("root ::= a\na ::= \"x\" a", "no text"), ("root ::= (\"a\"", "`)`"), ("root ::= [b-a]", "order"),
        ("root ::= []", "no character"), ("root ::= \"\\q\"", "escapes"), ("root ::= \"\\uD800\"", "scalar"),
        ("root ::= \"a\"{3,2}", "order"), ("root ::= \"a\"{9999999999}", "100000"),
        ("root ::= \"a\"{200000}", "100000"),
        ("root ::= <think>", "tokens"), ("rule ::= \"a\"", "`root`"), ("root ::= *", "end of the rule"),
        ("start: \"a\" )", "end of the definition"), ("start: missing", "missing"), ("rule: \"a\"", "`start`"),
        ("%ignore WS\nstart: \"a\"", "%ignore"), ("start: X\n%import common.NOTHING -> X", "NOTHING"),
        ("start: a{b}\na{x}: x", "end of the definition"), ("start: /(/", "regular expression"),
        ("start: /a/i", "flags"), ("start: \"ab\"..\"c\"", "one character"), ("start: \"a\" ->", "name"),
    ]) func saysWhatIsWrong(_ source: String, _ hint: String) {
        #expect {
            try GrammarCompiler.check(.ebnf(source))
        } throws: { error in
            "\(error)".contains(hint)
        }
    }
}
