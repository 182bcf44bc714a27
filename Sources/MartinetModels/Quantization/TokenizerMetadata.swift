import MartinetModelFormats
import MartinetTokenizers

/// The `tokenizer.…` keys of a GGUF file for the tokenizer of a Hugging Face directory.
enum TokenizerMetadata {
    /// The keys.
    ///
    /// - Parameter vocabularySize: rows of the embedding; ids without a token get a name of their own.
    /// - Throws: ``ModelError`` that names what a GGUF file cannot say.
    static func entries(
        of directory: HuggingFaceDirectory, vocabularySize: Int
    ) throws -> [GGUFMetadata.Entry] {
        let tokenizer = try TokenizerLoading.definition(of: directory)
        func refuse(_ what: String) -> ModelError {
            ModelError(.invalidModel, "\(directory.path)/tokenizer.json: \(what), which a GGUF file cannot say")
        }
        var entries: [GGUFMetadata.Entry] = []
        func add(_ key: String, _ value: GGUFEncodedValue) { entries.append(("tokenizer.ggml." + key, value)) }
        switch tokenizer.kind {
        case .byteLevelBPE:
            guard let pre = preTokenizerName(tokenizer) else {
                throw refuse("the tokenizer cuts words in a way that has no name")
            }
            guard tokenizer.spacePrefix == .none else { throw refuse("the tokenizer puts a space in front of text") }
            add("model", .string("gpt2"))
            add("pre", .string(pre))
        case .sentencePieceBPE:
            guard !tokenizer.composes else { throw refuse("the tokenizer composes letters") }
            add("model", .string("llama"))
            add("pre", .string("default"))
            add("add_space_prefix", .bool(tokenizer.spacePrefix != .none))
        }
        let tokens = spellings(tokenizer, count: vocabularySize)
        add("tokens", .strings(tokens))
        if tokenizer.kind == .sentencePieceBPE { add("scores", .float32s(scores(tokenizer, count: tokens.count))) }
        add("token_type", .int32s(kinds(tokenizer, count: tokens.count)))
        if tokenizer.kind == .byteLevelBPE {
            add("merges", .strings(tokenizer.merges.map { "\($0.left) \($0.right)" }))
        }
        let special = SpecialTokens(directory, tokenizer)
        for (key, id) in special.ids { add(key + "_token_id", .uint32(id)) }
        add("add_bos_token", .bool(tokenizer.addsBos))
        if let adds = directory.tokenizerConfig?["add_eos_token"]?.bool { add("add_eos_token", .bool(adds)) }
        if let template = directory.chatTemplate { entries.append(("tokenizer.chat_template", .string(template))) }
        return entries
    }

    /// The name in `tokenizer.ggml.pre` for how words are cut, composed and looked up; the reverse of reading it.
    private static func preTokenizerName(_ tokenizer: TokenizerDefinition) -> String? {
        switch (tokenizer.preTokenizer, tokenizer.composes, tokenizer.ignoresMerges) {
        case (.gpt2, false, false): "gpt-2"
        case (.gpt2, true, false): "mpt"
        case (.digitsThenGPT2, false, false): "smollm"
        case (.digitsThenGPT2, true, false): "command-r"
        case (.llama3, false, true): "llama-bpe"
        case (.llama3, false, false): "smaug-bpe"
        case (.qwen2, true, false): "qwen2"
        default: nil
        }
    }

    /// Spellings by id, as many as the embedding has rows at least.
    private static func spellings(_ tokenizer: TokenizerDefinition, count: Int) -> [String] {
        let missing = max(0, count - tokenizer.tokens.count)
        return (tokenizer.tokens + [String](repeating: "", count: missing)).enumerated().map { id, spelling in
            spelling.isEmpty ? "[PAD\(id)]" : spelling
        }
    }

    private static func kinds(_ tokenizer: TokenizerDefinition, count: Int) -> [Int32] {
        typealias Kind = TokenizerDefinition.TokenKind
        var kinds = [Kind](repeating: .unused, count: count)
        for (id, spelling) in tokenizer.tokens.enumerated() where !spelling.isEmpty {
            kinds[id] = tokenizer.kind == .sentencePieceBPE && isByte(spelling) ? .byte : .normal
        }
        for token in tokenizer.effectiveAddedTokens where kinds.indices.contains(token.id) {
            kinds[token.id] = token.isControl ? .control : .userDefined
        }
        if tokenizer.kind == .sentencePieceBPE, let unknown = tokenizer.unknownToken, kinds.indices.contains(unknown) {
            kinds[unknown] = .unknown
        }
        return kinds.map { Int32($0.rawValue) }
    }

    /// `<0x0A>`.
    private static func isByte(_ spelling: String) -> Bool {
        spelling.utf8.count == 6 && spelling.hasPrefix("<0x") && spelling.hasSuffix(">")
            && spelling.dropFirst(3).dropLast().allSatisfy(\.isHexDigit)
    }

    /// SentencePiece's scores: the files that have merges instead list them by falling score of what they make.
    private static func scores(_ tokenizer: TokenizerDefinition, count: Int) -> [Float] {
        if tokenizer.merges.isEmpty {
            return tokenizer.scores + [Float](repeating: 0, count: max(0, count - tokenizer.scores.count))
        }
        // By bytes: letters that are canonically equivalent are not the same token.
        var ranks: [[UInt8]: Int] = [:]
        for (rank, merge) in tokenizer.merges.enumerated() {
            let made = Array((merge.left + merge.right).utf8)
            if ranks[made] == nil { ranks[made] = rank }
        }
        var scores = [Float](repeating: -1e9, count: count)
        for (id, spelling) in tokenizer.tokens.enumerated() {
            if let rank = ranks[Array(spelling.utf8)] { scores[id] = -Float(rank) }
        }
        return scores
    }
}

/// The ids with a meaning, by GGUF's names for it.
private struct SpecialTokens {
    var ids: [(key: String, id: UInt32)] = []

    init(_ directory: HuggingFaceDirectory, _ tokenizer: TokenizerDefinition) {
        let config = directory.tokenizerConfig
        func id(_ key: String) -> Int? {
            (config?[key]?.string ?? config?[key]?["content"]?.string).flatMap { spelling in
                tokenizer.tokens.firstIndex { $0.utf8.elementsEqual(spelling.utf8) }
            }
        }
        // What ends a turn may stand in the generation config alone, and a GGUF file has three places for it.
        let generation = GenerationDefaults(directory.generationConfig, modelConfig: directory.config).endTokens
        var ends = tokenizer.endTokens
        ends += generation.map { Int($0) }.sorted().filter { !ends.contains($0) && $0 < tokenizer.tokens.count }
        let named: [(String, Int?)] = [
            ("bos", tokenizer.bosToken), ("eos", ends.first), ("eot", ends.dropFirst().first),
            ("eom", ends.dropFirst(2).first), ("unknown", tokenizer.unknownToken), ("padding", id("pad_token")),
        ]
        for (key, id) in named {
            if let id = id.flatMap({ UInt32(exactly: $0) }) { ids.append((key, id)) }
        }
    }
}
