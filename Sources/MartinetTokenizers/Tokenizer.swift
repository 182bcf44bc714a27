/// What to do with the spelling of a control token, such as `<|im_end|>`, that stands in a text.
public enum SpecialTokenHandling: Sendable, Hashable {
    /// It becomes the control token: for rendered chat templates and for raw prompts.
    case parse
    /// It is ordinary text: for what users wrote.
    case asText
}

/// Text to token ids and back.
///
/// Implementations are immutable and may be used from any thread.
public protocol Tokenizer: Sendable {
    /// One more than the largest token id.
    var vocabularySize: Int { get }
    /// The token that starts a text, where the model has one.
    var bosToken: Int32? { get }
    /// The token that ends a text, which chat templates know as `eos_token`.
    var eosToken: Int32? { get }
    /// Tokens that end a generation (end of text, end of turn).
    var endTokens: Set<Int32> { get }
    /// Whether the model expects `bosToken` in front of a raw prompt.
    var addsBos: Bool { get }

    /// The ids of a text. Adds neither a beginning nor an end token.
    ///
    /// With `.parse`, the noncharacters that ``guardControlTokens(in:)`` inserted are taken out again; with `.asText`
    /// the text is what a user wrote and stays as it is.
    func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32]
    /// The id of a token by its exact vocabulary spelling (for byte-level BPE the mapped form).
    func token(named name: String) -> Int32?
    /// The vocabulary spelling of a token, or `nil` for an id that the vocabulary does not have.
    func name(of token: Int32) -> String?
    /// The bytes that a token adds to the text: empty for control tokens unless `includeSpecial`.
    /// For SentencePiece the leading space of the first token is included; the detokeniser drops it where the model does.
    func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8]
    /// Appends what ``bytes(of:includeSpecial:)`` returns, with no array of its own.
    func appendBytes(of token: Int32, includeSpecial: Bool, to buffer: inout [UInt8])
    /// Whether a token is a control token: never produced from text that users wrote.
    func isControl(_ token: Int32) -> Bool
    /// Spellings of all control tokens.
    var controlTokenSpellings: [String] { get }
    /// Whether decoding drops one leading space of a text (SentencePiece with a dummy prefix).
    var dropsLeadingSpace: Bool { get }
}

extension Tokenizer {
    /// Appends what ``bytes(of:includeSpecial:)`` returns.
    public func appendBytes(of token: Int32, includeSpecial: Bool, to buffer: inout [UInt8]) {
        buffer.append(contentsOf: bytes(of: token, includeSpecial: includeSpecial))
    }

    /// The text of token ids; invalid UTF-8 becomes U+FFFD.
    public func decode(_ tokens: some Sequence<Int32>, includeSpecial: Bool = false) -> String {
        var detokenizer = IncrementalDetokenizer(self, includeSpecial: includeSpecial)
        var text = ""
        for token in tokens { text += detokenizer.append(token) }
        return text + detokenizer.finish()
    }
}

extension Tokenizer {
    /// The ids of text that came as bytes; invalid UTF-8 becomes U+FFFD, one for each maximal invalid part.
    public func encode(bytes: some Collection<UInt8>, specials: SpecialTokenHandling) -> [Int32] {
        encode(String(decoding: bytes, as: UTF8.self), specials: specials)
    }
}
