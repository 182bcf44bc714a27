internal import MartinetTokenizers

/// Bytes as tokens, for the document of the API, which must not depend on the model that is served.
struct DescribedTokenizer: Tokenizer {
    var vocabularySize: Int { 256 }
    var bosToken: Int32? { nil }
    var eosToken: Int32? { nil }
    var endTokens: Set<Int32> { [] }
    var addsBos: Bool { false }
    var controlTokenSpellings: [String] { [] }
    var dropsLeadingSpace: Bool { false }

    func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] { text.utf8.map(Int32.init) }
    func token(named name: String) -> Int32? { nil }
    func name(of token: Int32) -> String? { nil }
    func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] { UInt8(exactly: token).map { [$0] } ?? [] }
    func isControl(_ token: Int32) -> Bool { false }
}
