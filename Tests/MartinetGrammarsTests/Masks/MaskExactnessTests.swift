import MartinetGrammars
import Testing

/// Masks against Earley's recogniser, token by token.
@Suite struct MaskExactnessTests {
    /// All texts of up to three of the letters, some longer ones, some twice, a control token and two ends.
    static let vocabulary: GrammarVocabulary = {
        let letters = Array("abc".utf8)
        var tokens: [[UInt8]?] = [nil]
        var last: [[UInt8]] = [[]]
        for _ in 1...3 {
            last = last.flatMap { text in letters.map { text + [$0] } }
            tokens += last
        }
        tokens += [Array("abab".utf8), Array("aaaaaa".utf8), Array("cbacba".utf8), Array("a".utf8), [], Array("</s>".utf8)]
        tokens.append(nil)
        return GrammarVocabulary(tokens: tokens, endTokens: [Int32(tokens.count - 1), Int32(tokens.count - 2)])
    }()

    static func bytes(_ token: Int32) -> [UInt8]? {
        let letters = Array("abc".utf8)
        var number = Int(token) - 1
        for length in 1...3 {
            let count = [0, 3, 9, 27][length]
            if number >= 0, number < count {
                return [9, 3, 1].suffix(length).map { letters[number / $0 % 3] }
            }
            number -= count
        }
        return number >= 0 && number < 4 ? [Array("abab".utf8), Array("aaaaaa".utf8), Array("cbacba".utf8), Array("a".utf8)][number] : nil
    }

    @Test(arguments: 0..<40) func randomGrammars(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed &+ 1)
        for _ in 0..<25 {
            guard let grammar = ReferenceGrammar.random(&generator) else { continue }
            try Self.check(grammar, &generator)
        }
    }

    static func check(_ grammar: ReferenceGrammar, _ generator: inout SeededGenerator) throws {
        let compiled = try GrammarCompiler(vocabulary: vocabulary, cacheCapacity: 1).compile(.ebnf(grammar.source))
        for _ in 0..<3 {
            var matcher = GrammarMatcher(compiled)
            var text: [UInt8] = []
            while text.count < 10 {
                let state = grammar.recognize(text)
                let mask = matcher.mask()
                var allowed: [Int32] = []
                for token in 0..<Int32(vocabulary.count) {
                    let expected: Bool
                    if vocabulary.endTokens.contains(token) {
                        expected = state.isComplete
                    } else if let bytes = bytes(token) {
                        expected = grammar.recognize(text + bytes).isPrefix
                        if expected { allowed.append(token) }
                    } else {
                        expected = false
                    }
                    #expect(mask.contains(token) == expected, "\(grammar.rules) after \(text) token \(token)")
                    #expect(matcher.allows(token) == expected)
                }
                #expect(matcher.isComplete == state.isComplete)
                #expect(matcher.mustEnd == (state.isComplete && allowed.isEmpty))
                guard let token = allowed.randomElement(using: &generator), let bytes = bytes(token) else { break }
                var copy = matcher
                let refused = copy.accept(0)
                let accepted = matcher.accept(token)
                #expect(!refused && accepted)
                text += bytes
            }
        }
    }
}
