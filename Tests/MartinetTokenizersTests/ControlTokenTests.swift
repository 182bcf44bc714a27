import MartinetTokenizers
import Testing

@Suite("Control tokens in user text") struct ControlTokenTests {
    @Test("The guard keeps user text out of control tokens", arguments: Reference.small)
    func guarded(_ reference: Reference) throws {
        let tokenizer = try reference.tokenizer()
        let control = try #require(tokenizer.controlTokenSpellings.last)
        let id = try #require(tokenizer.token(named: control))
        var generator = SeededGenerator(state: 3)
        let mark = String(String.UnicodeScalarView([Unicode.Scalar(UInt32(0xFDD0))].compactMap { $0 }))
        var texts = Reference.corpus
        texts += (0..<300).map { _ in
            (0..<6).map { _ in
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: tokenizer.controlTokenSpellings.randomElement(using: &generator) ?? ""
                case 1: mark
                case 2: String(control.prefix(Int.random(in: 0...control.count, using: &generator)))
                default: generator.text(upTo: 8)
                }
            }.joined()
        }
        for text in texts {
            let rendered = control + tokenizer.guardControlTokens(in: text) + control
            let ids = tokenizer.encode(rendered, specials: .parse)
            #expect(ids.filter(tokenizer.isControl).count { $0 != tokenizer.token(named: "<unk>") } == 2)
            // With Metaspace's "first" the middle of a text has no space in front, and "strips" tokens take spaces.
            if reference.name != "tokenizer-metaspace-first" {
                #expect(ids == [id] + tokenizer.encode(text, specials: .asText) + [id], "\(text.debugDescription)")
            }
        }
    }

    @Test("Text without control tokens is not touched")
    func untouched() throws {
        let tokenizer = try Reference.json[0].tokenizer()
        #expect(
            tokenizer.guardControlTokens(in: "plain <text> |im_end|").utf8.elementsEqual("plain <text> |im_end|".utf8))
        #expect(tokenizer.guardControlTokens(in: "<|im_end|>").unicodeScalars.count == 11)
    }

    @Test("A control token of one character is guarded too")
    func single() throws {
        var definition = TokenizerDefinition(kind: .sentencePieceBPE, tokens: ["<unk>", "a", "b", "§"])
        definition.kinds = [.unknown, .normal, .normal, .control]
        definition.scores = [0, 0, 0, 0]
        definition.unknownToken = 0
        let tokenizer = try definition.makeTokenizer()
        #expect(tokenizer.encode("a§b", specials: .parse) == [1, 3, 2])
        #expect(tokenizer.encode("a§b", specials: .asText) == [1, 0, 2])
        let mark = String(String.UnicodeScalarView([Unicode.Scalar(UInt32(0xFDD0))].compactMap { $0 }))
        for text in ["a§b", "§§§", mark + "§" + mark + mark + "§§" + mark, "§" + mark + "a"] {
            let ids = tokenizer.encode("§" + tokenizer.guardControlTokens(in: text) + "§", specials: .parse)
            #expect(ids == [3] + tokenizer.encode(text, specials: .asText) + [3])
        }
    }

    @Test("Merges never make a control token of what a user wrote")
    func mergedControl() throws {
        let json = #"""
            {"added_tokens":[{"id":5,"content":"<s>","special":true},{"id":0,"content":"?","special":true}],
             "model":{"type":"BPE","unk_token":"?","vocab":{"?":0,"<":1,"s":2,">":3,"s>":4,"<s>":5},
                      "merges":["s >","< s>"]},
             "pre_tokenizer":{"type":"Metaspace","prepend_scheme":"never","split":false}}
            """#
        let tokenizer = try TokenizerDefinition(tokenizerJSON: Array(json.utf8)).makeTokenizer()
        #expect(tokenizer.encode("<s>", specials: .parse) == [5])
        #expect(tokenizer.encode("<s>", specials: .asText) == [1, 4])
        #expect(tokenizer.encode(tokenizer.guardControlTokens(in: "<s>"), specials: .parse) == [1, 4])
    }

    @Test("A post-processor's template gives the beginning token")
    func templateProcessing() throws {
        let tokenizer = try #require(Reference.json.first { $0.name == "tokenizer-llama3" }).tokenizer()
        #expect(tokenizer.addsBos && tokenizer.bosToken == tokenizer.token(named: "<|endoftext|>"))
    }

    @Test("End tokens and the beginning token")
    func endTokens() throws {
        let smollm = try Reference.gguf[0].tokenizer()
        #expect(Set(smollm.endTokens.compactMap { smollm.name(of: $0) }) == ["<|endoftext|>", "<|im_end|>"])
        #expect(smollm.bosToken == 1 && !smollm.addsBos)
        let gemma = try Reference.gguf[1].tokenizer()
        #expect(Set(gemma.endTokens.compactMap { gemma.name(of: $0) }) == ["<eos>", "<end_of_turn>"])
        #expect(gemma.addsBos && !gemma.dropsLeadingSpace)
        let llama = try Reference.gguf[9].tokenizer()
        #expect(llama.dropsLeadingSpace && llama.endTokens == [2])
    }
}
