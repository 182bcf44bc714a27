import Foundation
import MartinetTokenizers
import Testing

@Suite("Hostile definitions") struct HostileDefinitionTests {
    static let alphabet: [String] = {
        var next: UInt32 = 0x100
        return (0...255).compactMap { byte -> String? in
            let printable = (0x21...0x7e).contains(byte) || (0xa1...0xac).contains(byte) || byte >= 0xae
            if !printable { next += 1 }
            return Unicode.Scalar(printable ? UInt32(byte) : next - 1).map { String($0) }
        }
    }()

    static func byteLevel(_ change: (inout TokenizerDefinition) -> Void) -> TokenizerDefinition {
        var definition = TokenizerDefinition(kind: .byteLevelBPE, tokens: alphabet + ["ab"])
        definition.merges = [TokenizerMerge(left: "a", right: "b")]
        change(&definition)
        return definition
    }

    static func sentencePiece(_ change: (inout TokenizerDefinition) -> Void) -> TokenizerDefinition {
        var definition = TokenizerDefinition(kind: .sentencePieceBPE, tokens: ["<unk>", "a", "b", "ab"])
        definition.scores = [0, -1, -2, -3]
        definition.unknownToken = 0
        change(&definition)
        return definition
    }

    static let cases: [(String, TokenizerDefinition)] = [
        ("unknown merge", byteLevel { $0.merges.append(TokenizerMerge(left: "a", right: "nope")) }),
        ("merge result", byteLevel { $0.merges.append(TokenizerMerge(left: "b", right: "b")) }),
        ("duplicate", byteLevel { $0.tokens.append("ab") }),
        ("missing byte", byteLevel { $0.tokens[0x41] = "" }),
        ("no tokens", byteLevel { $0.tokens = [] }),
        ("types count", byteLevel { $0.kinds = [.normal] }),
        ("bos", byteLevel { $0.bosToken = 1_000_000_000 }),
        ("negative bos", byteLevel { $0.bosToken = -1 }),
        ("eos", byteLevel { $0.endTokens = [Int.max] }),
        ("unknown id", byteLevel { $0.unknownToken = Int.min }),
        ("added id", byteLevel { $0.addedTokens = [AddedToken(id: 1 << 40, content: "x", isControl: true)] }),
        ("scores count", sentencePiece { $0.scores = [1] }),
        ("nan", sentencePiece { $0.scores[2] = .nan }),
        ("no fallback", sentencePiece { $0.unknownToken = nil }),
    ]

    @Test("Contradictions give errors", arguments: cases.map(\.0))
    func contradictions(_ name: String) throws {
        let definition = try #require(Self.cases.first { $0.0 == name }).1
        let error = #expect(throws: TokenizerError.self) { try definition.makeTokenizer() }
        #expect(error?.code == .invalidDefinition)
        #expect(error?.message.isEmpty == false)
    }

    @Test("The definitions without the fault are good")
    func good() throws {
        #expect(try Self.byteLevel { _ in }.makeTokenizer().encode("ab", specials: .parse) == [256])
        #expect(try Self.sentencePiece { _ in }.makeTokenizer().encode("abxxa", specials: .parse) == [3, 0, 0, 1])
        #expect(
            try Self.sentencePiece { $0.fusesUnknown = true }.makeTokenizer().encode("abxxa", specials: .parse)
                == [3, 0, 1])
    }

    @Test("GGUF metadata", arguments: ["rwkv", "bert", ""])
    func unknownModels(_ model: String) {
        let error = #expect(throws: TokenizerError.self) {
            try TokenizerDefinition(ggufModel: model, pre: nil, tokens: ["a"])
        }
        #expect(error?.code == .unsupported)
    }

    @Test("GGUF: an unknown pre-tokenizer, type and merge are named")
    func unknownParts() {
        #expect(throws: TokenizerError.self) { try TokenizerDefinition(ggufModel: "gpt2", pre: "odd", tokens: ["a"]) }
        #expect(throws: TokenizerError.self) {
            try TokenizerDefinition(ggufModel: "llama", pre: nil, tokens: ["a"], tokenTypes: [9])
        }
        for line in ["", " ", "a", "a ", "ab"] {
            #expect(throws: TokenizerError.self) { try TokenizerMerge(line: line) }
        }
    }

    @Test(
        "tokenizer.json",
        arguments: [
            "", "{", "[]", "{}", #"{"model":{"type":"Unigram","vocab":{}}}"#, #"{"model":{"vocab":{"a":1000000000}}}"#,
            #"{"model":{"vocab":{"a":-1}}}"#, #"{"model":{"vocab":{"a":0.5}}}"#, #"{"model":{"vocab":{"a":0,"b":0}}}"#,
            #"{"model":{"vocab":{"a":0},"merges":[1]}}"#, #"{"model":{"vocab":{"a":0},"merges":["aa"]}}"#,
            #"{"model":{"vocab":{"a":0}},"normalizer":{"type":"Lowercase"}}"#,
            #"{"model":{"vocab":{"a":0}},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x+"},"behavior":"Isolated"}}"#,
            #"{"model":{"vocab":{"a":0}},"added_tokens":[{"id":1e300,"content":"x"}]}"#,
            #"{"model":{"vocab":{"a":1e999}}}"#, #"{"a":"\ud800"#, #"{"a":"\u00"}"#,
        ])
    func tokenizerJSON(_ text: String) {
        #expect(throws: TokenizerError.self) {
            try TokenizerDefinition(tokenizerJSON: Array(text.utf8)).makeTokenizer()
        }
    }

    @Test("A Split that drops its matches is refused, one that drops the rest is not")
    func removingSplit() throws {
        let good = try String(
            contentsOf: Reference.fixtures.appending(path: "tokenizer-llama3.json"), encoding: .utf8)
        let isolated = #""behavior":"Isolated","invert":false"#
        #expect(good.contains(isolated))
        let dropping = good.replacingOccurrences(of: isolated, with: #""behavior":"Removed","invert":false"#)
        let error = #expect(throws: TokenizerError.self) { try TokenizerDefinition(tokenizerJSON: dropping.utf8) }
        #expect(error?.code == .unsupported)
        let keeping = good.replacingOccurrences(of: isolated, with: #""behavior":"Removed","invert":true"#)
        #expect(try TokenizerDefinition(tokenizerJSON: keeping.utf8).preTokenizer == .llama3)
    }

    @Test("Damaged tokenizer.json files never trap")
    func damaged() throws {
        let good = try Array(Data(contentsOf: Reference.fixtures.appending(path: "tokenizer-prepend.json")))
        var generator = SeededGenerator(state: 5)
        var accepted = 0
        for _ in 0..<300 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.removeSubrange(index..<min(index + 5, bytes.count))
                default: bytes.insert(contentsOf: "9999".utf8, at: index)
                }
            }
            if let tokenizer = try? TokenizerDefinition(tokenizerJSON: bytes).makeTokenizer() {
                accepted += 1
                _ = tokenizer.decode(tokenizer.encode("Hello <s> wörld ▁", specials: .parse))
            }
        }
        #expect(accepted < 300)
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(throws: TokenizerError.self) { try TokenizerDefinition(tokenizerJSON: deep) }
    }

    @Test("Random bytes encode without a trap", arguments: Reference.small)
    func randomBytes(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        var generator = SeededGenerator(state: 9)
        for _ in 0..<500 {
            let bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            for id in tokenizer.encode(bytes: bytes, specials: .parse) { #expect(tokenizer.name(of: id) != nil) }
        }
    }

    @Test("tokenizer_config.json gives the beginning and the end")
    func configuration() throws {
        let json = try Data(contentsOf: Reference.fixtures.appending(path: "tokenizer-prepend.json"))
        let config = #"{"bos_token":{"content":"<s>"},"eos_token":"</s>","add_bos_token":true}"#
        let tokenizer = try TokenizerDefinition(tokenizerJSON: json, tokenizerConfigJSON: Array(config.utf8))
            .makeTokenizer()
        #expect(tokenizer.bosToken == tokenizer.token(named: "<s>") && tokenizer.addsBos)
        #expect(tokenizer.endTokens == Set([tokenizer.token(named: "</s>")].compactMap { $0 }))
    }
}
