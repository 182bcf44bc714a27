import MartinetGrammars
import Testing

@Suite struct GrammarMatcherTests {
    /// The tokens of a text, cut as said, over a vocabulary of all bytes and these tokens.
    private static func compiled(_ source: GrammarSource, _ tokens: [[UInt8]] = []) throws -> CompiledGrammar {
        let all = (0...255).map { [UInt8($0)] } + tokens.map { Optional($0) } + [nil]
        let vocabulary = GrammarVocabulary(tokens: all, endTokens: [Int32(all.count - 1)])
        return try GrammarCompiler(vocabulary: vocabulary, cacheCapacity: 1).compile(source)
    }

    @Test func tokensMayReachOverSeveralRules() throws {
        let source = GrammarSource.ebnf(
            """
            root ::= "[" (item ("," item)*)? "]"
            item ::= root | name
            name ::= "\\"" [a-z]* "\\""
            """)
        let tokens = ["[\"a", "b\"],[\"", "\"]]]", "\"]]]]", "\",\"x\",[", "]x"].map { Array($0.utf8) }
        var matcher = GrammarMatcher(try Self.compiled(source, tokens))
        #expect(matcher.mask().tokens.filter { $0 >= 256 } == [256])
        let opened = matcher.accept([UInt8(ascii: "["), UInt8(ascii: "[")]) && matcher.accept(256)
        #expect(opened)
        // Three are open, so three may close, but not four.
        #expect(matcher.mask().tokens.filter { $0 >= 256 } == [257, 258, 260])
        let closed = matcher.accept(258)
        #expect(closed && matcher.isComplete && matcher.mustEnd)
        #expect(matcher.mask().tokens == [262])
    }

    @Test func tokensMaySplitScalars() throws {
        let text = Array("é中😀".utf8)
        var matcher = GrammarMatcher(try Self.compiled(.ebnf("root ::= [\\u00e9中😀]*"), [[0xA9, 0xE4], [0x9F, 0x98]]))
        var seen: [Int32] = []
        for byte in text.prefix(1) { seen.append(Int32(byte)) }
        let first = matcher.accept(seen[0])
        #expect(first && !matcher.isComplete)
        #expect(matcher.mask().tokens == [0xA9, 256])
        let rest = [256, 0xB8, 0xAD, 0xF0, 257, 0x80].allSatisfy { matcher.accept(Int32($0)) }
        #expect(rest && matcher.isComplete && !matcher.mustEnd)
    }

    @Test func copiesGoTheirOwnWay() throws {
        let grammar = try Self.compiled(.ebnf(#"root ::= "(" root ")" | "x""#))
        var matcher = GrammarMatcher(grammar)
        let opened = matcher.accept(Array("((".utf8))
        var copy = matcher
        let closed = copy.accept(Array("x))".utf8))
        #expect(opened && closed && copy.isComplete && !matcher.isComplete)
        let refused = matcher.accept(Array("x)))".utf8))
        #expect(!refused)
        let other = matcher.accept(Array("(x)))".utf8))
        #expect(other && matcher.isComplete)
    }

    @Test func endsOnceWhereItMay() throws {
        var matcher = GrammarMatcher(try Self.compiled(.choice([.literal("a"), .literal("ab")])))
        let early = matcher.accept(256)
        let first = matcher.accept(97)
        #expect(!early && first && matcher.isComplete && !matcher.mustEnd && matcher.allows(256))
        let ended = matcher.accept(256)
        #expect(ended && matcher.hasEnded && matcher.mask().isEmpty && !matcher.allows(98))
        let again = matcher.accept(256)
        #expect(!again)
    }

    /// Nesting costs memory as deep as it goes, and masks do not depend on it.
    @Test func nestsDeep() throws {
        let grammar = try Self.compiled(
            .ebnf(#"root ::= "[" root* "]""#), [Array("[[[[[[[[".utf8), Array("]]]]]]]]".utf8)])
        var matcher = GrammarMatcher(grammar)
        var accepted = true
        for _ in 0..<10_000 { accepted = accepted && matcher.accept(256) }
        #expect(matcher.mask().tokens == [91, 93, 256, 257])
        for _ in 0..<9_999 { accepted = accepted && matcher.accept(257) }
        for _ in 0..<7 { accepted = accepted && matcher.accept(93) }
        #expect(accepted && matcher.mask().tokens == [91, 93, 256])
        let last = matcher.accept(93)
        #expect(last && matcher.mustEnd)
    }

    /// A long text in a flat list drops the frames that it has left.
    @Test func longTextsStaySmall() throws {
        let grammar = try Self.compiled(
            .ebnf("root ::= item* \".\"\nitem ::= \"(\" item* \")\" | \"x\" item \"y\" | \"z\""))
        var matcher = GrammarMatcher(grammar)
        var accepted = true
        for _ in 0..<20_000 { accepted = accepted && matcher.accept(Array("((z)xzyxxzyy)".utf8)) }
        let last = matcher.accept([UInt8(ascii: ".")])
        #expect(accepted && last && matcher.mustEnd)
        #expect(matcher.frameCount < 5000)
    }

    @Test func countsLongRepetitions() throws {
        let grammar = try Self.compiled(
            .ebnf("root ::= \"<\" char{2000,3000} \">\"\nchar ::= [a-z] | \"&\" [a-z]+ \";\""), [Array("aaaa>".utf8)])
        var matcher = GrammarMatcher(grammar)
        var accepted = matcher.accept([UInt8(ascii: "<")])
        for count in 0..<3000 {
            let mask = matcher.mask()
            #expect(mask.contains(97) && mask.contains(62) == (count >= 2000))
            #expect(mask.contains(256) == (count >= 1996 && count <= 2996))
            accepted = accepted && matcher.accept(97)
        }
        #expect(accepted && matcher.mask().tokens == [62])
        // Far from both bounds all counts share one mask.
        #expect(grammar.keptMaskCount < 60)
    }

    /// Sets of positions that would be exponentially many stay apart, and match the same.
    @Test func manyPositionsAreNotMerged() throws {
        let grammar = try Self.compiled(.ebnf("root ::= [ab]* \"a\" [ab]{40} \"c\""))
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<20 {
            var matcher = GrammarMatcher(grammar)
            var text: [UInt8] = []
            for _ in 0..<1000 {
                let byte = UInt8(ascii: "a") + UInt8.random(in: 0...1, using: &generator)
                text.append(byte)
                let accepted = matcher.accept([byte])
                let mayEnd = text.count > 40 && text[text.count - 41] == UInt8(ascii: "a")
                let mask = matcher.mask()
                if !accepted || mask.contains(99) != mayEnd || !mask.contains(97) { Issue.record("after \(text)") }
            }
        }
        #expect(grammar.isFull && grammar.positionCount < 8192 + 200)
    }

    /// Rules are made when matching comes to them; one that makes another each time is matched as far as the text goes.
    @Test func makesRulesLazily() throws {
        let rules = GrammarRules()
        @Sendable func level(_ depth: Int) -> GrammarNode {
            .choice([
                .bytes([UInt8(ascii: "x")]),
                .sequence([.bytes([40]), .rule(rules.add { level(depth + 1) }), .bytes([41])]),
            ])
        }
        let vocabulary = GrammarVocabulary(tokens: (0...255).map { [UInt8($0)] }, endTokens: [])
        let grammar = try CompiledGrammar(.rule(rules.add { level(0) }), rules: rules, vocabulary: vocabulary)
        let depth = 5000
        let text = [UInt8](repeating: 40, count: depth) + [UInt8(ascii: "x")] + [UInt8](repeating: 41, count: depth)
        #expect(grammar.matches(text))
        #expect(!grammar.matches(text + [41]))
    }
}
