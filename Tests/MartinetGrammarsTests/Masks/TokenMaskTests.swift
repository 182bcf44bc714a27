import MartinetGrammars
import Testing

@Suite struct TokenMaskTests {
    /// Words of all kinds: none, all, some in four, one at an end, and a last one that is not whole.
    @Test(arguments: [0, 1, 63, 64, 65, 200, 300]) func setsOtherLogits(_ extra: Int) throws {
        let count = 200
        let vocabulary = GrammarVocabulary(
            tokens: (0..<count).map { token in
                [UInt8(ascii: token < 64 ? "a" : token % 3 == 0 || token == 199 ? "b" : "c")]
            }, endTokens: [])
        let compiler = GrammarCompiler(vocabulary: vocabulary, cacheCapacity: 1)
        for source in ["root ::= [a]", "root ::= [b]", "root ::= [ab]", "root ::= [abc]", "root ::= [d]"] {
            let mask = GrammarMatcher(try compiler.compile(.ebnf(source))).mask()
            var logits = (0..<extra).map { Float($0) - 7 }
            logits.withUnsafeMutableBufferPointer { mask.apply(to: $0) }
            for (token, logit) in logits.enumerated() {
                #expect(logit == (mask.contains(Int32(token)) ? Float(token) - 7 : -.infinity))
            }
        }
    }

    @Test func knowsItsTokens() throws {
        let vocabulary = GrammarVocabulary(tokens: [[97], nil, [98], [], [97, 98]], endTokens: [1, 99])
        let grammar = try GrammarCompiler(vocabulary: vocabulary, cacheCapacity: 1).compile(
            .choice([.literal("ab"), .literal("")]))
        let mask = GrammarMatcher(grammar).mask()
        #expect(mask.tokens == [0, 1, 4])
        #expect(!mask.contains(-1) && !mask.contains(99))
        #expect(!mask.isEmpty)
    }
}
