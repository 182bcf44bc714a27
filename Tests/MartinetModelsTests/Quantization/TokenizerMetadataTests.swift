import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import Testing

/// Tokenizers that go from `tokenizer.json` to the metadata of a GGUF file.
struct TokenizerMetadataTests {
    let directory: ModelCopy

    init() throws { directory = try ModelCopy(of: "gemma3") }

    private func quantized() throws -> (source: LoadedModel, copy: LoadedModel, file: GGUFFile) {
        let path = directory.path + "/out.gguf"
        _ = try ModelQuantizer.quantize(
            ModelFile.open(path: directory.path), to: path, options: QuantizationOptions(type: .q8_0))
        return (
            try LoadedModel.load(path: directory.path), try LoadedModel.load(path: path), try GGUFFile(path: path)
        )
    }

    /// A SentencePiece model as transformers converts it: merges instead of scores.
    private static func sentencePiece(normalizer: String) -> String {
        let letters = ["▁", "é"] + "abcdefghijklmnopqrstuvwxyz".map(String.init)
        let merges = [
            ("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "t"), ("▁t", "h"), ("▁th", "e"), ("a", "n"), ("an", "d"),
            ("▁", "a"), ("▁a", "n"), ("▁an", "d"), ("▁", "and"), ("h", "e"), ("▁", "▁"),
        ]
        var tokens = ["<unk>", "<s>", "</s>"]
        tokens += (0..<256).map {
            let digits = String($0, radix: 16, uppercase: true)
            return "<0x\(digits.count == 1 ? "0" : "")\(digits)>"
        }
        tokens += letters
        for (left, right) in merges where !tokens.contains(left + right) { tokens.append(left + right) }
        let vocabulary = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        let pairs = merges.map { "[\"\($0)\", \"\($1)\"]" }.joined(separator: ", ")
        let added = ["<unk>", "<s>", "</s>"].enumerated().map {
            "{\"id\": \($0), \"content\": \"\($1)\", \"special\": true}"
        }
        let mark = #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#
        return """
            {"added_tokens": [\(added.joined(separator: ", ")), {"id": 300, "content": "[mine]", "special": false}],
             "normalizer": \(normalizer.replacing("MARK", with: mark)), "pre_tokenizer": null,
             "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                       "vocab": {\(vocabulary)}, "merges": [\(pairs)]}}
            """
    }

    @Test(arguments: [
        "MARK", #"{"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, MARK]}"#,
    ])
    func sentencePieceStaysWhatItIs(_ normalizer: String) throws {
        try directory.write(Self.sentencePiece(normalizer: normalizer).utf8, as: "tokenizer.json")
        let config = #"{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "add_bos_token": true}"#
        try directory.write(config.utf8, as: "tokenizer_config.json")
        let (source, copy, file) = try quantized()
        for text in [
            "the and then", " the  band", "athe", "hand the\nthe", "é naïve 北", "", " ", "[mine] and</s>the", "<0x41>",
        ] {
            for handling in [SpecialTokenHandling.parse, .asText] {
                let tokens = source.tokenizer.encode(text, specials: handling)
                #expect(copy.tokenizer.encode(text, specials: handling) == tokens, "\(text)")
                #expect(copy.tokenizer.decode(tokens) == source.tokenizer.decode(tokens), "\(text)")
            }
        }
        #expect(copy.tokenizer.addsBos)
        #expect(copy.tokenizer.bosToken == 1)
        #expect(copy.endTokens == source.endTokens)
        #expect(file.metadata["tokenizer.ggml.model"]?.string == "llama")
        #expect(file.metadata["tokenizer.ggml.padding_token_id"]?.int == 0)
        let kinds = try #require(file.metadata["tokenizer.ggml.token_type"]?.ints)
        #expect(Array(kinds[0..<4]) == [2, 3, 3, 6])
        #expect(kinds[300] == 4)
        // Rows of the embedding that no token has.
        #expect(kinds[319] == 5)
        #expect(file.metadata["tokenizer.ggml.tokens"]?.strings?[319] == "[PAD319]")
    }

    @Test func endTokensOfTheGenerationConfigAreKept() throws {
        try directory.write(#"{"eos_token_id": [2, 7, 9]}"#.utf8, as: "generation_config.json")
        let (source, copy, file) = try quantized()
        #expect(copy.endTokens == source.endTokens)
        #expect(file.metadata["tokenizer.ggml.eos_token_id"]?.int == 2)
        #expect(file.metadata["tokenizer.ggml.eot_token_id"]?.int == 7)
        #expect(file.metadata["tokenizer.ggml.eom_token_id"]?.int == 9)
    }

    @Test(arguments: [
        (#""add_prefix_space": true"#, "a space in front"), (#""use_regex": false"#, "cuts words"),
    ])
    func whatAFileCannotSayIsRefused(_ member: String, _ mention: String) throws {
        var tokenizer = try RawObject(directory.bytes(of: "tokenizer.json"))
        tokenizer.members["pre_tokenizer"] = "{\"type\": \"ByteLevel\", \(member)}"
        try directory.write(tokenizer.bytes, as: "tokenizer.json")
        let refusal = try refusal { _ = try quantized() }
        #expect(refusal?.message.contains(mention) == true, "\(String(describing: refusal))")
    }
}
