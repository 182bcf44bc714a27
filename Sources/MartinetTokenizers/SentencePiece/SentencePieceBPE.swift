/// Byte-pair encoding over characters with byte fallback, as SentencePiece models of type BPE do it (Kudo and
/// Richardson 2018): Llama 2, Mistral, Gemma.
///
/// Spaces are spelled U+2581. Immutable; encoding costs O(n log n).
public struct SentencePieceBPE: InventoriedTokenizer {
    private enum Rule: Sendable {
        case scored(ScoredMerges)
        case ranked(RankedMerges)
    }

    package let inventory: TokenInventory
    private let rule: Rule
    private let pieces: SpellingTable
    private let texts: SpellingTable
    private let byteTokens: [Int32]
    private let unknown: Int32
    private let fusesUnknown: Bool
    private let composes: Bool
    private let spacePrefix: TokenizerDefinition.SpacePrefix
    private let cutsBeforeEverySpace: Bool
    /// Bytes that some token has directly before a space: no cut there, because merges may cross it.
    private let joinsSpace: [Bool]
    /// Whether decoding drops one leading space of a text.
    public let dropsLeadingSpace: Bool

    private static let space: [UInt8] = [0xe2, 0x96, 0x81]

    /// Checks a definition and builds the tables.
    ///
    /// - Throws: `invalidDefinition` for ids out of range, a token twice, scores that are not one per token, a merge of
    ///   unknown tokens, or neither byte tokens nor an unknown token.
    public init(_ definition: TokenizerDefinition) throws(TokenizerError) {
        inventory = try TokenInventory(definition)
        let names = inventory.names
        let byteTokens = (0...255).map { byte -> Int32 in
            let hex = String(byte, radix: 16, uppercase: true)
            return names.find("<0x\(hex.count == 1 ? "0" : "")\(hex)>") ?? -1
        }
        let kinds = definition.kinds
        let isControl = inventory.isControl
        let isAdded = inventory.isAdded
        let isByte = Set(byteTokens)
        func isText(_ id: Int) -> Bool {
            !isControl[id] && !isByte.contains(Int32(id)) && (kinds.isEmpty || kinds[id] != .userDefined)
        }
        let isScored = definition.merges.isEmpty
        let pieces = try SpellingTable(definition.tokens.map(\.utf8)) { isScored ? isText($0) : !isControl[$0] }
        self.pieces = pieces
        rule =
            isScored
            ? .scored(try ScoredMerges(pieces: pieces, scores: definition.scores))
            : .ranked(try RankedMerges(definition.merges, inventory: inventory))
        unknown = definition.unknownToken.map { Int32(truncatingIfNeeded: $0) } ?? -1
        self.byteTokens = definition.hasByteFallback ? byteTokens : [Int32](repeating: -1, count: 256)
        guard unknown >= 0 || !self.byteTokens.contains(-1) else {
            throw TokenizerError(
                .invalidDefinition,
                "the vocabulary has neither all 256 byte tokens (<0x00> to <0xFF>) nor an unknown token")
        }
        fusesUnknown = definition.fusesUnknown
        composes = definition.composes
        spacePrefix = definition.spacePrefix
        cutsBeforeEverySpace = definition.cutsBeforeEverySpace
        dropsLeadingSpace = definition.dropsLeadingSpace ?? (definition.spacePrefix != .none)
        var joins = [Bool](repeating: false, count: 256)
        var texts: [[UInt8]] = []
        texts.reserveCapacity(names.count)
        for id in 0..<names.count {
            let name = names[id]
            if !isControl[id] { Self.noteJoins(name, &joins) }
            texts.append(isControl[id] || isAdded[id] ? Array(name) : Self.unescape(name))
        }
        for (byte, token) in byteTokens.enumerated() where token >= 0 { texts[Int(token)] = [UInt8(byte)] }
        joinsSpace = joins
        self.texts = try SpellingTable(texts) { _ in false }
    }

    private static func noteJoins(_ name: ArraySlice<UInt8>, _ joins: inout [Bool]) {
        var index = name.startIndex + 1
        while index + 2 < name.endIndex {
            if name[index] == 0xe2, name[index + 1] == 0x96, name[index + 2] == 0x81 {
                let isAfterSpace =
                    index - name.startIndex >= 3 && name[index - 1] == 0x81 && name[index - 2] == 0x96
                    && name[index - 3] == 0xe2
                if !isAfterSpace { joins[Int(name[index - 1])] = true }
            }
            index += 1
        }
    }

    private static func unescape(_ name: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var index = name.startIndex
        while index < name.endIndex {
            if name[index...].starts(with: space) {
                result.append(UInt8(ascii: " "))
                index += 3
            } else {
                result.append(name[index])
                index += 1
            }
        }
        return result
    }

    /// The ids of a text.
    public func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] {
        var tokens: [Int32] = []
        tokens.reserveCapacity(text.utf8.count / 3 + 4)
        var escaped: [UInt8] = []
        switch rule {
        case .scored(let merges): encode(text, specials, merges, &escaped, &tokens)
        case .ranked(let merges): encode(text, specials, merges, &escaped, &tokens)
        }
        return tokens
    }

    private func encode<Merges: MergeRule>(
        _ text: String, _ specials: SpecialTokenHandling, _ merges: Merges, _ escaped: inout [UInt8],
        _ tokens: inout [Int32]
    ) {
        var merger = Merger<Merges>()
        var cache = WordCache(textLength: text.utf8.count)
        inventory.split(text, specials: specials, composes: composes) {
            tokens.append($0)
        } segment: { text, atStart in
            escaped.removeAll(keepingCapacity: true)
            escape(text, atStart, &escaped)
            escaped.withUnsafeBufferPointer { encodeSegment($0, merges, &merger, &cache, &tokens) }
        }
    }

    private func escape(_ text: UnsafeBufferPointer<UInt8>, _ atStart: Bool, _ escaped: inout [UInt8]) {
        let startsWithSpace = text.first == UInt8(ascii: " ") || text.starts(with: Self.space)
        switch spacePrefix {
        case .none: break
        case .always: escaped.append(contentsOf: Self.space)
        case .unlessSpace: if !startsWithSpace { escaped.append(contentsOf: Self.space) }
        case .firstUnlessSpace: if atStart && !startsWithSpace { escaped.append(contentsOf: Self.space) }
        }
        for byte in text {
            if byte == UInt8(ascii: " ") {
                escaped.append(contentsOf: Self.space)
            } else {
                escaped.append(byte)
            }
        }
    }

    private func encodeSegment<Merges: MergeRule>(
        _ text: UnsafeBufferPointer<UInt8>, _ merges: Merges, _ merger: inout Merger<Merges>,
        _ cache: inout WordCache, _ tokens: inout [Int32]
    ) {
        var start = 0
        var afterSpace = true
        var previous: UInt8 = 0
        var offset = 0
        // No merge crosses from a byte that no token has before a space to that space, so words are merged alone.
        while offset < text.count {
            let isSpace =
                text[offset] == 0xe2 && offset + 2 < text.count && text[offset + 1] == 0x96 && text[offset + 2] == 0x81
            if isSpace, offset > start, cutsBeforeEverySpace || !(afterSpace || joinsSpace[Int(previous)]) {
                encodeWord(UnsafeBufferPointer(rebasing: text[start..<offset]), merges, &merger, &cache, &tokens)
                start = offset
            }
            offset += isSpace ? 3 : 1
            afterSpace = isSpace
            previous = text[offset - 1]
        }
        encodeWord(UnsafeBufferPointer(rebasing: text[start...]), merges, &merger, &cache, &tokens)
    }

    private func encodeWord<Merges: MergeRule>(
        _ text: UnsafeBufferPointer<UInt8>, _ merges: Merges, _ merger: inout Merger<Merges>,
        _ cache: inout WordCache, _ tokens: inout [Int32]
    ) {
        let key = WordCache.Key(text)
        if let key, cache.append(key, to: &tokens) { return }
        let before = tokens.count
        merger.symbols.removeAll(keepingCapacity: true)
        var offset = 0
        var isUnknown = false
        while offset < text.count {
            let first = text[offset]
            let length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
            let end = min(offset + length, text.count)
            let character = UnsafeBufferPointer(rebasing: text[offset..<end])
            if let token = pieces.find(character) {
                merger.symbols.append(MergeSymbol(token: token, start: offset, end: end))
                isUnknown = false
            } else if character.allSatisfy({ byteTokens[Int($0)] >= 0 }) {
                for byte in character {
                    merger.symbols.append(MergeSymbol(token: byteTokens[Int(byte)], start: offset, end: offset))
                }
                isUnknown = false
            } else {
                if unknown >= 0, !(isUnknown && fusesUnknown) {
                    merger.symbols.append(MergeSymbol(token: unknown, start: offset, end: offset))
                }
                isUnknown = true
            }
            offset = end
        }
        merger.run(merges, in: text, appendingTo: &tokens)
        if let key { cache.store(key, tokens[before...]) }
    }

    /// Appends the bytes that a token adds to the text.
    public func appendBytes(of token: Int32, includeSpecial: Bool, to buffer: inout [UInt8]) {
        guard token >= 0, token < texts.count, includeSpecial || !inventory.isControl[Int(token)] else { return }
        buffer.append(contentsOf: texts[Int(token)])
    }
}
