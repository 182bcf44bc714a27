extension TokenizerDefinition {
    /// A definition from a Hugging Face `tokenizer.json`, and from `tokenizer_config.json` where there is one.
    ///
    /// - Throws: `invalidJSON` for a broken file, `unsupported` that names a model, normalizer, pre-tokenizer or
    ///   expression which is not implemented, `invalidDefinition` for contradictions.
    public init(
        tokenizerJSON: some Collection<UInt8>, tokenizerConfigJSON: (some Collection<UInt8>)? = [UInt8]?.none
    ) throws(TokenizerError) {
        let json = try JSONValue(parsing: tokenizerJSON)
        let config = try tokenizerConfigJSON.map { bytes throws(TokenizerError) in try JSONValue(parsing: bytes) }
        guard let model = json["model"], let vocabulary = model["vocab"]?.members else {
            throw TokenizerError(.invalidJSON, "tokenizer.json has no model.vocab object")
        }
        if let type = model["type"]?.string, type != "BPE" {
            throw TokenizerError(.unsupported, "the tokenizer model \"\(type)\" is not implemented; \"BPE\" is")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let value = model[key]?.string, !value.isEmpty {
                throw TokenizerError(.unsupported, "model.\(key) \"\(value)\" is not implemented")
            }
        }
        let added = try Self.addedTokens(json)
        self.init(kind: .sentencePieceBPE, tokens: try Self.spellings(vocabulary, added))
        addedTokens = added
        merges = try Self.merges(model["merges"]?.array ?? [])
        hasByteFallback = model["byte_fallback"]?.bool ?? false
        ignoresMerges = model["ignore_merges"]?.bool ?? false
        fusesUnknown = model["fuse_unk"]?.bool ?? false
        unknownToken = model["unk_token"]?.string.flatMap { id(of: $0) }
        try readNormalizer(json["normalizer"])
        if let preTokenizer = json["pre_tokenizer"] { try readPreTokenizers(Self.parts(preTokenizer, "pretokenizers")) }
        if kind == .byteLevelBPE, spacePrefix == .always { spacePrefix = .none }
        if kind == .sentencePieceBPE, merges.isEmpty { scores = [Float](repeating: 0, count: tokens.count) }
        if kind == .sentencePieceBPE, let decoder = json["decoder"] {
            dropsLeadingSpace = Self.parts(decoder, "decoders").contains {
                $0["type"]?.string == "Strip" || ($0["type"]?.string == "Metaspace" && spacePrefix != .none)
            }
        }
        readSpecialTokens(json, config)
    }

    private func id(of spelling: String) -> Int? {
        tokens.firstIndex { $0.utf8.elementsEqual(spelling.utf8) }
    }

    private static func parts(_ value: JSONValue, _ key: String) -> [JSONValue] {
        value["type"]?.string == "Sequence" ? value[key]?.array ?? [] : [value]
    }

    private static func addedTokens(_ json: JSONValue) throws(TokenizerError) -> [AddedToken] {
        var result: [AddedToken] = []
        for token in json["added_tokens"]?.array ?? [] {
            guard let id = token["id"]?.integer, let content = token["content"]?.string, !content.isEmpty else {
                throw TokenizerError(.invalidJSON, "an entry of added_tokens has no id or no content")
            }
            result.append(
                AddedToken(
                    id: id, content: content, isControl: token["special"]?.bool ?? false,
                    singleWord: token["single_word"]?.bool ?? false, stripsLeft: token["lstrip"]?.bool ?? false,
                    stripsRight: token["rstrip"]?.bool ?? false, normalized: token["normalized"]?.bool ?? false))
        }
        return result
    }

    private static func spellings(
        _ vocabulary: [(key: String, value: JSONValue)], _ added: [AddedToken]
    ) throws(TokenizerError) -> [String] {
        var entries: [(String, Int)] = added.map { ($0.content, $0.id) }
        entries.reserveCapacity(vocabulary.count + added.count)
        for (spelling, value) in vocabulary {
            guard let id = value.integer else {
                throw TokenizerError(.invalidJSON, "the id of token \"\(spelling)\" is not a whole number")
            }
            entries.append((spelling, id))
        }
        // Ids may leave holes, but a single absurd id must not reserve memory for all below it.
        let limit = min(maximumVocabularySize, entries.count * 8 + 65536)
        var tokens: [String] = []
        for (spelling, id) in entries {
            guard id >= 0, id < limit else {
                throw TokenizerError(
                    .invalidDefinition,
                    "token \"\(spelling)\" has the id \(id) in a vocabulary of \(entries.count) tokens")
            }
            while tokens.count <= id { tokens.append("") }
            guard tokens[id].isEmpty || tokens[id].utf8.elementsEqual(spelling.utf8) else {
                throw TokenizerError(
                    .invalidDefinition, "tokens \"\(tokens[id])\" and \"\(spelling)\" both have the id \(id)")
            }
            tokens[id] = spelling
        }
        return tokens
    }

    private static func merges(_ values: [JSONValue]) throws(TokenizerError) -> [TokenizerMerge] {
        var result: [TokenizerMerge] = []
        result.reserveCapacity(values.count)
        for value in values {
            if let line = value.string {
                result.append(try TokenizerMerge(line: line))
            } else if let pair = value.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string {
                result.append(TokenizerMerge(left: left, right: right))
            } else {
                throw TokenizerError(.invalidJSON, "merge \(result.count) is neither a string nor a pair of strings")
            }
        }
        return result
    }

    private mutating func readNormalizer(_ value: JSONValue?) throws(TokenizerError) {
        guard let value else { return }
        for part in Self.parts(value, "normalizers") {
            let type = part["type"]?.string ?? ""
            switch type {
            case "NFC": composes = true
            case "Prepend" where part["prepend"]?.string == "▁": spacePrefix = .always
            case "Replace" where part["pattern"]?["String"]?.string == " " && part["content"]?.string == "▁": break
            default:
                throw TokenizerError(.unsupported, "the normalizer \"\(type)\" of tokenizer.json is not implemented")
            }
        }
    }

    private mutating func readPreTokenizers(_ parts: [JSONValue]) throws(TokenizerError) {
        var split: PreTokenizer?
        for part in parts {
            let type = part["type"]?.string ?? ""
            switch type {
            case "Metaspace":
                switch part["prepend_scheme"]?.string ?? (part["add_prefix_space"]?.bool == false ? "never" : "always")
                {
                case "always": spacePrefix = .unlessSpace
                case "first": spacePrefix = .firstUnlessSpace
                default: spacePrefix = .none
                }
                cutsBeforeEverySpace = part["split"]?.bool ?? true
            case "Digits" where part["individual_digits"]?.bool == true: split = .digitsThenGPT2
            case "ByteLevel":
                kind = .byteLevelBPE
                let usesExpression = part["use_regex"]?.bool ?? true
                switch (split, usesExpression) {
                case (nil, true): preTokenizer = .gpt2
                case (nil, false): preTokenizer = .wholeText
                case (.digitsThenGPT2, true): preTokenizer = .digitsThenGPT2
                case (.some(let known), false) where known != .digitsThenGPT2: preTokenizer = known
                default: throw TokenizerError(.unsupported, "this sequence of pre-tokenizers is not implemented")
                }
                if part["add_prefix_space"]?.bool == true { spacePrefix = .unlessSpace }
            // After spaces became U+2581 there is none left to split at (Gemma).
            case "Split" where part["pattern"]?["String"]?.string == " ": break
            case "Split": split = try Self.preTokenizer(part)
            default:
                throw TokenizerError(.unsupported, "the pre-tokenizer \"\(type)\" of tokenizer.json is not implemented")
            }
        }
    }

    private static func preTokenizer(_ part: JSONValue) throws(TokenizerError) -> PreTokenizer {
        let expression = part["pattern"]?["Regex"]?.string ?? part["pattern"]?["String"]?.string ?? ""
        // Two ways to say that each match is a word: matches cut out, or what lies between them removed.
        let inverts = part["invert"]?.bool ?? false
        let isPlain = part["behavior"]?.string == (inverts ? "Removed" : "Isolated")
        guard isPlain, let known = PreTokenizer(expression: expression) else {
            throw TokenizerError(.unsupported, "the pre-tokenizer expression \"\(expression)\" is not implemented")
        }
        return known
    }

    private mutating func readSpecialTokens(_ json: JSONValue, _ config: JSONValue?) {
        func spelling(_ key: String) -> String? { config?[key]?.string ?? config?[key]?["content"]?.string }
        var first: String?
        for part in json["post_processor"].map({ Self.parts($0, "processors") }) ?? []
        where part["type"]?.string == "TemplateProcessing" {
            first = part["single"]?.array?.first?["SpecialToken"]?["id"]?.string
        }
        bosToken = (spelling("bos_token") ?? first).flatMap { id(of: $0) }
        endTokens = spelling("eos_token").flatMap { id(of: $0) }.map { [$0] } ?? []
        addsBos = config?["add_bos_token"]?.bool ?? (first != nil)
    }
}

extension PreTokenizer {
    /// The pre-tokenizer that a published regular expression of `tokenizer.json` stands for.
    init?(expression: String) {
        let tail = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        let head = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
        switch expression {
        case head + #"\p{N}{1,3}|"# + tail: self = .llama3
        case head + #"\p{N}|"# + tail: self = .qwen2
        case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: self = .gpt2
        default: return nil
        }
    }
}
