import MartinetAPI
import MartinetTokenizers

/// One token for each byte; 256 is a control token spelt `<|end|>`.
struct ByteTokenizer: Tokenizer {
    var vocabularySize: Int { 257 }
    var bosToken: Int32? { nil }
    var eosToken: Int32? { nil }
    var endTokens: Set<Int32> { [256] }
    var addsBos: Bool { false }
    func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] { text.utf8.map(Int32.init) }
    func token(named name: String) -> Int32? { name == "<|end|>" ? 256 : nil }
    func name(of token: Int32) -> String? { (0..<256).contains(token) ? "<\(token)>" : token == 256 ? "<|end|>" : nil }
    func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] {
        if token == 256 { return includeSpecial ? Array("<|end|>".utf8) : [] }
        return UInt8(exactly: token).map { [$0] } ?? []
    }
    func isControl(_ token: Int32) -> Bool { token == 256 }
    var controlTokenSpellings: [String] { ["<|end|>"] }
    var dropsLeadingSpace: Bool { false }
}

extension ServedModel {
    static var test: ServedModel {
        ServedModel(
            names: ["tiny", "alias"], root: "tiny", created: 1_700_000_000, maxModelLength: 64,
            tokenizer: ByteTokenizer(), maxSamples: 8, maxPrompts: 16)
    }
}

extension Array where Element == UInt8 {
    init(_ text: String) { self = Array(text.utf8) }
}
