/// One merge of byte-pair encoding: two token spellings that become one.
public struct TokenizerMerge: Sendable, Hashable {
    /// The spelling of the left token.
    public var left: String
    /// The spelling of the right token.
    public var right: String

    /// A merge of two spellings.
    public init(left: String, right: String) {
        self.left = left
        self.right = right
    }

    /// A line of `merges.txt` or of GGUF's `tokenizer.ggml.merges`: two spellings with a space between.
    ///
    /// - Throws: `invalidDefinition` for a line without a space in its middle.
    public init(line: String) throws(TokenizerError) {
        let utf8 = line.utf8
        guard let space = utf8.dropFirst().firstIndex(of: UInt8(ascii: " ")), utf8.index(after: space) < utf8.endIndex
        else { throw TokenizerError(.invalidDefinition, "\"\(line)\" is not a merge: two tokens with a space between") }
        left = String(line[..<space])
        right = String(line[utf8.index(after: space)...])
    }
}

/// What makes a tokenizer, as plain data from a model file.
public struct TokenizerDefinition: Sendable {
    /// The algorithm.
    public enum Kind: Sendable, Hashable {
        /// ``ByteLevelBPE``.
        case byteLevelBPE
        /// ``SentencePieceBPE``.
        case sentencePieceBPE
    }

    /// What a token is, with the numbers of GGUF and SentencePiece.
    public enum TokenKind: Int, Sendable, Hashable {
        /// Text.
        case normal = 1
        /// What stands for unknown text.
        case unknown = 2
        /// A control token.
        case control = 3
        /// Text that is found before all else.
        case userDefined = 4
        /// Reserved.
        case unused = 5
        /// A byte, `<0x00>` to `<0xFF>`.
        case byte = 6
    }

    /// When a space is put in front of a segment of text.
    public enum SpacePrefix: Sendable, Hashable {
        /// Never.
        case none
        /// Always: SentencePiece's dummy prefix, `Prepend`.
        case always
        /// Where the segment does not start with one: `Metaspace` with `always`.
        case unlessSpace
        /// As `unlessSpace`, but in front of the whole text only: `Metaspace` with `first`.
        case firstUnlessSpace
    }

    /// The largest vocabulary that is accepted: some sixteen times the largest in use.
    public static let maximumVocabularySize = 1 << 22

    /// The algorithm.
    public var kind: Kind
    /// Spellings by id; an empty one is an id that the vocabulary does not use.
    public var tokens: [String]
    /// What each token is, or empty where all are normal.
    public var kinds: [TokenKind] = []
    /// SentencePiece: the score of each token, the larger the earlier it merges. Used where there are no merges.
    public var scores: [Float] = []
    /// Merges by rank.
    public var merges: [TokenizerMerge] = []
    /// Byte-level: how text is cut into words.
    public var preTokenizer = PreTokenizer.gpt2
    /// Added tokens with their flags; where `nil`, all control, unknown and user-defined tokens.
    public var addedTokens: [AddedToken]?
    /// The token that starts a text.
    public var bosToken: Int?
    /// Tokens that end a text or a turn, beside those known by name.
    public var endTokens: [Int] = []
    /// What stands for text that the vocabulary cannot spell.
    public var unknownToken: Int?
    /// Whether a run of unknown characters is one unknown token.
    public var fusesUnknown = false
    /// Whether the model expects `bosToken` in front of a raw prompt.
    public var addsBos = false
    /// When a space is put in front of text.
    public var spacePrefix = SpacePrefix.none
    /// Whether decoding drops a leading space; where `nil`, it does if encoding adds one.
    public var dropsLeadingSpace: Bool?
    /// SentencePiece: whether every space starts a word (`Metaspace` with `split`).
    public var cutsBeforeEverySpace = false
    /// SentencePiece: whether characters outside the vocabulary become byte tokens.
    public var hasByteFallback = true
    /// Byte-level: whether a word that is a token as a whole is not merged (Llama 3).
    public var ignoresMerges = false
    /// Whether text is put into normalisation form C first.
    public var composes = false

    /// A definition of a kind with its vocabulary; set the rest as properties.
    public init(kind: Kind, tokens: [String]) {
        self.kind = kind
        self.tokens = tokens
    }

    /// Checks the definition and builds the tokenizer.
    ///
    /// - Throws: `invalidDefinition` that names the contradiction.
    public func makeTokenizer() throws(TokenizerError) -> any Tokenizer {
        switch kind {
        case .byteLevelBPE: try ByteLevelBPE(self)
        case .sentencePieceBPE: try SentencePieceBPE(self)
        }
    }

    /// The given added tokens, or those that the token kinds imply.
    package var effectiveAddedTokens: [AddedToken] {
        if let addedTokens { return addedTokens }
        return zip(tokens, kinds).enumerated().compactMap { id, token in
            switch token.1 {
            case .control, .unknown: AddedToken(id: id, content: token.0, isControl: true)
            case .userDefined: AddedToken(id: id, content: token.0, isControl: false)
            case .normal, .unused, .byte: nil
            }
        }
    }
}
