import FoundationEssentials
import MartinetModelFormats
import MartinetTokenizers

/// Makes a model's tokenizer from what its files say.
enum TokenizerLoading {
    static func tokenizer(of file: ModelFile) throws -> any Tokenizer {
        // A stand-in until the tokenizers are merged: one token for each byte of a byte-level vocabulary.
        guard case .gguf(let gguf) = file, let names = gguf.metadata["tokenizer.ggml.tokens"]?.strings else {
            throw ModelError(.invalidModel, "no tokenizer")
        }
        return StandInTokenizer(names: names, end: Int32(gguf.metadata["tokenizer.ggml.eos_token_id"]?.int ?? 0))
    }

    static func fileSize(of file: ModelFile) -> Int {
        switch file {
        case .gguf(let gguf): gguf.files.reduce(0) { $0 + $1.count }
        case .directory(let directory):
            directory.shards.reduce(0) { total, shard in
                let attributes = try? FileManager.default.attributesOfItem(atPath: shard.path)
                return total + (attributes?[.size] as? Int ?? 0)
            }
        }
    }
}

private struct StandInTokenizer: Tokenizer {
    let names: [String]
    let end: Int32
    private let letters: [Character]
    init(names: [String], end: Int32) {
        self.names = names
        self.end = end
        var next: UInt32 = 256
        letters = (0..<256).map { byte in
            if (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174 {
                return Character(UnicodeScalar(UInt8(byte)))
            }
            next += 1
            return Character(UnicodeScalar(next - 1) ?? " ")
        }
    }
    var vocabularySize: Int { names.count }
    var bosToken: Int32? { nil }
    var endTokens: Set<Int32> { [end] }
    var eosToken: Int32? { end }
    var addsBos: Bool { false }
    func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] {
        text.utf8.compactMap { token(named: String(letters[Int($0)])) }
    }
    func token(named name: String) -> Int32? { names.firstIndex(of: name).map { Int32($0) } }
    func name(of token: Int32) -> String? { names.indices.contains(Int(token)) ? names[Int(token)] : nil }
    func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] {
        (name(of: token) ?? "").compactMap { letters.firstIndex(of: $0).map { UInt8($0) } }
    }
    func isControl(_ token: Int32) -> Bool { token < 3 }
    var controlTokenSpellings: [String] { [] }
    var dropsLeadingSpace: Bool { false }
}
