extension TokenizerDefinition {
    /// A definition from the `tokenizer.ggml.…` metadata of a GGUF file.
    ///
    /// - Parameters:
    ///   - model: `tokenizer.ggml.model`: `gpt2` (byte-level) or `llama` (SentencePiece).
    ///   - pre: `tokenizer.ggml.pre`: the name of the pre-tokenizer, for `gpt2`.
    ///   - tokens: `tokenizer.ggml.tokens`.
    ///   - tokenTypes: `tokenizer.ggml.token_type`, or empty.
    ///   - scores: `tokenizer.ggml.scores`, or empty.
    ///   - merges: `tokenizer.ggml.merges`, or empty.
    ///   - bosToken: `tokenizer.ggml.bos_token_id`.
    ///   - endTokens: `tokenizer.ggml.eos_token_id`, `eot_token_id` and `eom_token_id`, as far as given.
    ///   - unknownToken: `tokenizer.ggml.unknown_token_id`.
    ///   - addsBos: `tokenizer.ggml.add_bos_token`; where `nil`, SentencePiece and Llama 3 models do.
    ///   - addsSpacePrefix: `tokenizer.ggml.add_space_prefix`; where `nil`, SentencePiece models do.
    /// - Throws: `unsupported` for a model or pre-tokenizer that is not implemented, `invalidDefinition` otherwise.
    public init(
        ggufModel model: String, pre: String?, tokens: [String], tokenTypes: [Int] = [], scores: [Float] = [],
        merges: [String] = [], bosToken: Int? = nil, endTokens: [Int] = [], unknownToken: Int? = nil,
        addsBos: Bool? = nil, addsSpacePrefix: Bool? = nil
    ) throws(TokenizerError) {
        switch model {
        case "gpt2":
            self.init(kind: .byteLevelBPE, tokens: tokens)
            try setPreTokenizer(ggufName: pre)
            var parsed: [TokenizerMerge] = []
            parsed.reserveCapacity(merges.count)
            for line in merges { parsed.append(try TokenizerMerge(line: line)) }
            self.merges = parsed
            self.addsBos = addsBos ?? (preTokenizer == .llama3)
        case "llama":
            self.init(kind: .sentencePieceBPE, tokens: tokens)
            self.scores = scores
            self.addsBos = addsBos ?? true
            self.unknownToken = unknownToken ?? tokenTypes.firstIndex(of: TokenKind.unknown.rawValue)
            spacePrefix = addsSpacePrefix ?? true ? .always : .none
            fusesUnknown = true
        default:
            throw TokenizerError(
                .unsupported, "the tokenizer model \"\(model)\" is not implemented; \"gpt2\" and \"llama\" are")
        }
        self.bosToken = bosToken
        self.endTokens = endTokens
        for (index, type) in tokenTypes.enumerated() {
            guard let kind = TokenKind(rawValue: type) else {
                throw TokenizerError(.invalidDefinition, "token \(index) has the type \(type); 1 to 6 are known")
            }
            kinds.append(kind)
        }
    }

    private mutating func setPreTokenizer(ggufName name: String?) throws(TokenizerError) {
        switch name ?? "default" {
        case "gpt-2", "gpt2", "default", "phi-2", "roberta-bpe":
            preTokenizer = .gpt2
        case "mpt", "olmo":
            preTokenizer = .gpt2
            composes = true
        case "smollm", "starcoder", "refact", "codeshell": preTokenizer = .digitsThenGPT2
        case "command-r":
            preTokenizer = .digitsThenGPT2
            composes = true
        case "llama-bpe", "llama3", "llama-v3", "falcon3":
            preTokenizer = .llama3
            ignoresMerges = true
        case "smaug-bpe", "dbrx": preTokenizer = .llama3
        case "qwen2", "deepseek-r1-qwen":
            preTokenizer = .qwen2
            composes = true
        default:
            throw TokenizerError(
                .unsupported, "the pre-tokenizer \"\(name ?? "")\" (tokenizer.ggml.pre) is not implemented")
        }
    }
}
