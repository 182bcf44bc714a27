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

    /// Each is refused at once, by name of its bound, or is compiled within the bounds.
    @Test(arguments: [
        ("deep", #"root ::= "# + String(repeating: "(", count: 100_000)),
        (
            "parentheses",
            "root ::= " + String(repeating: "(", count: 300) + "\"a\"" + String(repeating: ")", count: 300)
        ),
        ("long", "root ::= \"" + String(repeating: "a", count: 1 << 19) + "\""),
        (
            "states",
            "root ::= " + String(repeating: "(", count: 4) + "\"ab\"" + String(repeating: "){90000}", count: 1)
                + "{90000} \"c\"))) "
        ),
        ("states", "root ::= ([a-z] [0-9]){100000} ([b-z] [0-9]){100000} ([c-z] [0-9]){100000}"),
        ("rules", (0..<11_000).map { "r\($0) ::= \"a\"\n" }.joined() + "root ::= r1"),
        ("repetitions", "root ::= \"a\"" + String(repeating: "+", count: 1000)),
    ]) func boundsHostileSources(_ name: String, _ source: String) {
        #expect(throws: GrammarError.self) { try GrammarCompiler.check(.ebnf(source)) }
    }

    @Test(arguments: [
        (0..<4000).map { "r\($0) ::= r\($0 + 1) \"x\" | r\($0 + 1) \"y\"\n" }.joined() + "r4000 ::= \"z\"\nroot ::= r0",
        (0..<4000).map { "r\($0) ::= r\($0 + 1)?\n" }.joined() + "r4000 ::= \"z\"\nroot ::= r0",
        (0..<150).map { "r\($0) ::= r\(($0 + 1) % 150) \"x\" | \"y\"\n" }.joined() + "root ::= r0",
        "root ::= (((\"a\"*)*)*)* ((\"\" | \"a\")+)*",
        "root ::= \"a\"{0,100000}",
        "root ::= " + (0..<20_000).map { "\"word\($0)\"" }.joined(separator: " | "),
    ]) func compilesLargeSources(_ source: String) throws {
        let grammar = try GrammarCompiler(vocabulary: Self.vocabulary, cacheCapacity: 1).compile(.ebnf(source))
        #expect(!GrammarMatcher(grammar).mask().isEmpty)
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
