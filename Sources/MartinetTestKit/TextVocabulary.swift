package import MartinetTokenizers

/// A vocabulary of 64 tokens for ``HistoryRunner``: single characters, pieces of JSON that overlap, halves of a character;
/// 62 is a control token, 63 ends a text.
package struct TextVocabulary: Tokenizer {
    package static let end: Int32 = 63
    package static let control: Int32 = 62

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
    package let wait: @Sendable () -> Void
    package let dropsLeadingSpace: Bool

    package init(dropsLeadingSpace: Bool = false, wait: @escaping @Sendable () -> Void = {}) {
        self.dropsLeadingSpace = dropsLeadingSpace
        self.wait = wait
    }

    package var vocabularySize: Int { 64 }
    package var bosToken: Int32? { nil }
    package var eosToken: Int32? { Self.end }
    package var endTokens: Set<Int32> { [Self.end] }
    package var addsBos: Bool { false }
    package var controlTokenSpellings: [String] { ["<control>", "<end>"] }

    /// The longest tokens first.
    package func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] {
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

    package func token(named name: String) -> Int32? { nil }
    package func name(of token: Int32) -> String? {
        String(decoding: bytes(of: token, includeSpecial: true), as: UTF8.self)
    }
    package func isControl(_ token: Int32) -> Bool { token >= Self.control }

    package func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] {
        wait()
        guard token < Self.control else { return includeSpecial ? Array("<\(token)>".utf8) : [] }
        return Self.spellings[Int(token)]
    }
}
