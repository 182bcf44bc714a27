/// Byte-level byte-pair encoding as GPT-2 introduced it, and as Llama 3, Qwen and SmolLM use it.
///
/// Immutable. Encoding costs O(n log n) for a text of n bytes, whatever the text.
public struct ByteLevelBPE: InventoriedTokenizer {
    package let inventory: TokenInventory
    private let merges: RankedMerges
    private let preTokenizer: PreTokenizer
    private let composes: Bool
    private let addsPrefixSpace: Bool
    private let byteTokens: [Int32]
    private let unknown: Int32
    private let fusesUnknown: Bool
    /// The bytes of every token.
    private let texts: SpellingTable
    /// Whether a word that is a token as a whole is not merged.
    private let ignoresMerges: Bool

    /// Checks a definition and builds the tables.
    ///
    /// - Throws: `invalidDefinition` for ids out of range, a token twice, a merge of unknown tokens, or no token for a
    ///   printable ASCII byte where there is no unknown token either.
    public init(_ definition: TokenizerDefinition) throws(TokenizerError) {
        inventory = try TokenInventory(definition)
        merges = try RankedMerges(definition.merges, inventory: inventory)
        preTokenizer = definition.preTokenizer
        composes = definition.composes
        addsPrefixSpace = definition.spacePrefix != .none
        let names = inventory.names
        let isControl = inventory.isControl
        byteTokens = ByteLevelAlphabet.characters.map { character in
            names.find(String(character)).flatMap { isControl[Int($0)] ? nil : $0 } ?? -1
        }
        unknown = definition.unknownToken.map { Int32(truncatingIfNeeded: $0) } ?? -1
        fusesUnknown = definition.fusesUnknown
        let isAdded = inventory.isAdded
        let texts = definition.tokens.enumerated().map {
            isAdded[$0.offset] ? Array($0.element.utf8) : ByteLevelAlphabet.decode($0.element)
        }
        ignoresMerges = definition.ignoresMerges
        let indexed = definition.ignoresMerges
        self.texts = try SpellingTable(texts) { indexed && !isAdded[$0] }
        if unknown < 0, let missing = (0x20..<0x7f).first(where: { byteTokens[$0] < 0 }) {
            throw TokenizerError(
                .invalidDefinition,
                "the byte-level vocabulary has no token for the byte \(missing) "
                    + "(\"\(ByteLevelAlphabet.characters[missing])\") and no unknown token")
        }
    }

    /// The ids of a text.
    public func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] {
        var tokens: [Int32] = []
        tokens.reserveCapacity(text.utf8.count / 3 + 4)
        var merger = Merger<RankedMerges>()
        var cache = WordCache(textLength: text.utf8.count)
        var ends: [Int] = []
        inventory.split(text, specials: specials, composes: composes) {
            tokens.append($0)
        } segment: { text, _ in
            if addsPrefixSpace, text.first != UInt8(ascii: " ") {
                ([UInt8(ascii: " ")] + Array(text)).withUnsafeBufferPointer {
                    encodeSegment($0, &merger, &cache, &ends, &tokens)
                }
            } else {
                encodeSegment(text, &merger, &cache, &ends, &tokens)
            }
        }
        return tokens
    }

    private func encodeSegment(
        _ text: UnsafeBufferPointer<UInt8>, _ merger: inout Merger<RankedMerges>, _ cache: inout WordCache,
        _ ends: inout [Int], _ tokens: inout [Int32]
    ) {
        ends.removeAll(keepingCapacity: true)
        preTokenizer.split(text, into: &ends)
        var start = 0
        for end in ends {
            let word = UnsafeBufferPointer(rebasing: text[start..<end])
            start = end
            if ignoresMerges, let whole = texts.find(word) {
                tokens.append(whole)
                continue
            }
            let key = WordCache.Key(word)
            if let key, cache.append(key, to: &tokens) { continue }
            let before = tokens.count
            merger.symbols.removeAll(keepingCapacity: true)
            var afterUnknown = false
            for (index, byte) in word.enumerated() {
                let token = byteTokens[Int(byte)]
                if token >= 0 {
                    merger.symbols.append(MergeSymbol(token: token, start: index, end: index + 1))
                } else if unknown >= 0, !(fusesUnknown && afterUnknown) {
                    merger.symbols.append(MergeSymbol(token: unknown, start: index, end: index + 1))
                }
                afterUnknown = token < 0
            }
            merger.run(merges, in: word, appendingTo: &tokens)
            if let key { cache.store(key, tokens[before...]) }
        }
    }

    /// Appends the bytes that a token adds to the text.
    public func appendBytes(of token: Int32, includeSpecial: Bool, to buffer: inout [UInt8]) {
        guard token >= 0, token < texts.count, includeSpecial || !inventory.isControl[Int(token)] else { return }
        buffer.append(contentsOf: texts[Int(token)])
    }

    /// Byte-level text keeps its leading space.
    public var dropsLeadingSpace: Bool { false }
}
