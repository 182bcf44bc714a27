import MartinetTokenizers

/// A vocabulary of 64 tokens for ``HistoryRunner``: single characters, pieces of JSON that overlap, halves of a character;
/// 62 is a control token, 63 ends a text.
struct TextVocabulary: Tokenizer {
    static let end: Int32 = 63
    static let control: Int32 = 62

    private static let spellings: [[UInt8]] = {
        let pieces = [
            "{", "}", "[", "]", "\"", ":", ",", " ", "true", "false", "null", "12", "00", "{\"", "\":", "\"}", "\",",
            "\"a\"", "ab", "abc", "bc", "-", ".", "e", "\\", "\n", "  ", " a", " 1", "x", "y", "z", "cab", "\"b\":",
        ]
        let characters = (0...9).map { "\($0)" } + "abcdfghij".map { "\($0)" }
        var spellings = (pieces + characters).map { Array($0.utf8) } + [[0xC3], [0xA9], Array("é".utf8)]
        while spellings.count < 64 { spellings.append(Array("w\(spellings.count)".utf8)) }
        return spellings
    }()

    /// Waits before it tells of a token, where set.
    var wait: @Sendable () -> Void = {}
    var dropsLeadingSpace = false
    var vocabularySize: Int { 64 }
    var bosToken: Int32? { nil }
    var eosToken: Int32? { Self.end }
    var endTokens: Set<Int32> { [Self.end] }
    var addsBos: Bool { false }
    var controlTokenSpellings: [String] { ["<control>", "<end>"] }

    /// The longest tokens first.
    func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] {
        var rest = Array(text.utf8)[...]
        var tokens: [Int32] = []
        while !rest.isEmpty {
            let longest = (Int32(0)..<62).filter { rest.starts(with: Self.spellings[Int($0)]) }
                .max { Self.spellings[Int($0)].count < Self.spellings[Int($1)].count }
            guard let longest else { return tokens }
            tokens.append(longest)
            rest = rest.dropFirst(Self.spellings[Int(longest)].count)
        }
        return tokens
    }

    func token(named name: String) -> Int32? { nil }
    func name(of token: Int32) -> String? { String(decoding: bytes(of: token, includeSpecial: true), as: UTF8.self) }
    func isControl(_ token: Int32) -> Bool { token >= Self.control }

    func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] {
        wait()
        guard token < Self.control else { return includeSpecial ? Array("<\(token)>".utf8) : [] }
        return Self.spellings[Int(token)]
    }
}
