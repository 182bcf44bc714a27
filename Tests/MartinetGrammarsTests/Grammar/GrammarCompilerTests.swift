import MartinetGrammars
import Testing

@Suite struct GrammarCompilerTests {
    private static let vocabulary = GrammarVocabulary(tokens: (0...255).map { [UInt8($0)] } + [nil], endTokens: [256])

    @Test func keepsWhatWasUsedLast() throws {
        let compiler = GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 2)
        let first = try compiler.compile(.literal("a"))
        _ = try compiler.compile(.literal("b"))
        #expect(try compiler.compile(.literal("a")) === first)
        _ = try compiler.compile(.literal("c"))
        #expect(compiler.cachedCount == 2)
        #expect(try compiler.compile(.literal("a")) === first)
        for number in 0..<10 { _ = try? compiler.compile(.ebnf("bad \(number)")) }
        #expect(compiler.cachedCount <= 2)
        #expect(try compiler.compile(.literal("a")) !== first)
    }

    @Test func compilesOnceForManyCallers() async throws {
        let compiler = GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 4)
        let source = GrammarSource.ebnf("root ::= \"[\" (root (\",\" root)*)? \"]\" | [0-9]+")
        let text = Array("[1,[22,[]],[[[333]]]]".utf8)
        let grammars = await withTaskGroup(of: CompiledGrammar?.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    guard let grammar = try? compiler.compile(source) else { return nil }
                    for _ in 0..<20 {
                        var matcher = GrammarMatcher(grammar)
                        for byte in text {
                            guard matcher.mask().contains(Int32(byte)), matcher.accept(Int32(byte)) else { return nil }
                        }
                        guard matcher.isComplete, matcher.mask().tokens == [256] else { return nil }
                    }
                    return grammar
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(grammars.count == 16)
        #expect(grammars.allSatisfy { $0 != nil && $0 === grammars[0] })
    }

    @Test func compilesAnewWhatIsFull() throws {
        let compiler = GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 2)
        let source = GrammarSource.ebnf("root ::= [ab]* \"a\" [ab]{40} \"c\"")
        let grammar = try compiler.compile(source)
        var generator = SeededGenerator(seed: 3)
        var matcher = GrammarMatcher(grammar)
        for _ in 0..<12_000 {
            let accepted = matcher.accept([97 + UInt8.random(in: 0...1, using: &generator)])
            if !accepted { Issue.record("refused") }
        }
        #expect(grammar.isFull)
        #expect(try compiler.compile(source) !== grammar)
    }

    @Test func combinesSources() throws {
        let source = GrammarSource.sequence([
            .repetition(.choice([.literal("ab"), .regex("[0-9]{2}")]), minimum: 1, maximum: 3), .literal(";"),
            .anyText(before: "</s>"), .jsonSchema(#"{"type":"integer"}"#),
        ])
        let grammar = try GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 1).compile(source)
        for text in ["ab;</s>1", "ab12ab;x < y</s</s>-7"] { #expect(grammar.matches(Array(text.utf8)), "\(text)") }
        for text in [";</s>1", "abababab;</s>1", "ab1;</s>1", "ab;</s>", "ab;1"] {
            #expect(!grammar.matches(Array(text.utf8)), "\(text)")
        }
    }

    struct Sample: CustomTestStringConvertible {
        let testDescription: String
        let source: String

        init(_ name: String, _ source: String) {
            testDescription = name
            self.source = source
        }

        init(_ name: String, rules count: Int, _ rule: (Int) -> String, then rest: String) {
            self.init(name, (0..<count).map { rule($0) + "\n" }.joined() + rest)
        }
    }

    @Test(arguments: [
        Sample("open parentheses", "root ::= " + String(repeating: "(", count: 100_000)),
        Sample(
            "nesting", "root ::= " + String(repeating: "(", count: 300) + "\"a\"" + String(repeating: ")", count: 300)),
        Sample("length", "root ::= \"" + String(repeating: "a", count: 1 << 19) + "\""),
        Sample("states", "root ::= " + (0..<4).map { "(\"a\" [0-\($0)]){100000} " }.joined()),
        Sample("rules", rules: 11_000, { "r\($0) ::= \"a\"" }, then: "root ::= r1"),
        Sample("repetitions", "root ::= \"a\"" + String(repeating: "+", count: 1000)),
        Sample("left recursion", rules: 2000, { "r\($0) ::= r\(($0 + 1) % 2000) \"x\" | \"y\"" }, then: "root ::= r0"),
    ]) func boundsHostileSources(_ sample: Sample) {
        #expect(throws: GrammarError.self) { try GrammarCompiler.check(.ebnf(sample.source)) }
    }

    @Test(arguments: [
        Sample(
            "a chain", rules: 4000, { "r\($0) ::= r\($0 + 1) \"x\" | r\($0 + 1) \"y\"" },
            then: "r4000 ::= \"z\"\nroot ::= r0"),
        Sample("nullable chain", rules: 4000, { "r\($0) ::= r\($0 + 1)?" }, then: "r4000 ::= \"z\"\nroot ::= r0"),
        Sample("left recursion", rules: 100, { "r\($0) ::= r\(($0 + 1) % 100) \"x\" | \"y\"" }, then: "root ::= r0"),
        Sample("nested loops", "root ::= (((\"a\"*)*)*)* ((\"\" | \"a\")+)*"),
        Sample("a long repetition", "root ::= \"a\"{0,100000}"),
        Sample("many choices", "root ::= " + (0..<10_000).map { "\"word\($0)\"" }.joined(separator: " | ")),
    ]) func compilesLargeSources(_ sample: Sample) throws {
        let grammar = try GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 1).compile(.ebnf(sample.source))
        #expect(!GrammarMatcher(grammar).mask().isEmpty)
    }

    /// Sets of positions that grow with the text come to their bound; then nothing more is allowed.
    @Test func boundsWhatMatchingMakes() throws {
        let source = GrammarSource.ebnf("root ::= (\"a\"?){20000} (\"a\"?){20000}")
        guard let grammar = try? GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 1).compile(source) else {
            return
        }
        var matcher = GrammarMatcher(grammar)
        var count = 0
        while count < 2000, matcher.accept(97) { count += 1 }
        #expect(count > 10 && count < 2000 && grammar.isFull)
        #expect(!matcher.allows(97))
    }

    @Test func boundsSources() {
        var nested = GrammarSource.literal("a")
        for _ in 0..<100 { nested = .sequence([nested]) }
        let bad: [GrammarSource] = [
            nested, .choice([]), .repetition(.literal("a"), minimum: 3, maximum: 2),
            .repetition(.literal("a"), minimum: -1, maximum: nil),
            .repetition(.literal("a"), minimum: 0, maximum: .max),
            .choice((0..<200_000).map { .literal("\($0)") }), .literal(String(repeating: "a", count: 2 << 20)),
            .anyText(before: ""),
        ]
        for source in bad { #expect(throws: GrammarError.self) { try GrammarCompiler.check(source) } }
    }
}
