/// The bytes that each token of a model stands for, ready to make masks from.
package struct GrammarVocabulary: Sendable {
    let trie: TokenTrie
    let tokens: [[UInt8]?]
    /// The tokens that end a text.
    package let endTokens: Set<Int32>

    /// - Parameters:
    ///   - tokens: the bytes of each token, by id; `nil` for control tokens, which never match.
    ///   - endTokens: those that end a text; whatever their bytes, they match nothing else.
    package init(tokens: [[UInt8]?], endTokens: Set<Int32>) {
        var tokens = tokens
        self.endTokens = endTokens.filter { tokens.indices.contains(Int($0)) }
        for token in self.endTokens { tokens[Int(token)] = nil }
        trie = TokenTrie(tokens)
        self.tokens = tokens
    }

    /// Tokens, control tokens included.
    package var count: Int { tokens.count }

    func bytes(_ token: Int32) -> [UInt8]? {
        guard token >= 0, token < tokens.count, let bytes = tokens[Int(token)] else { return nil }
        return bytes.isEmpty || bytes.count > TokenTrie.depthLimit ? nil : bytes
    }
}
