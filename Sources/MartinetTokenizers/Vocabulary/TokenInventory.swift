/// What both kinds of tokenizer share: names, control tokens, added tokens, and the ids with a meaning.
package struct TokenInventory: Sendable {
    package let names: SpellingTable
    package let isControl: [Bool]
    package let isAdded: [Bool]
    package let controlSpellings: [String]
    package let bos: Int32?
    package let eos: Int32?
    package let ends: Set<Int32>
    package let addsBos: Bool
    /// Control tokens only.
    package let controls: AddedTokenMatcher
    private let raw: AddedTokenMatcher
    private let normalized: AddedTokenMatcher

    /// Control tokens that end a turn or a text wherever a vocabulary has them.
    private static let endNames: Set<String> = [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<end_of_turn>", "</s>",
        "<|end|>", "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>", "<|return|>", "<|EOT|>",
    ]

    package init(_ definition: TokenizerDefinition) throws(TokenizerError) {
        let count = definition.tokens.count
        func checked(_ id: Int?, _ what: String) throws(TokenizerError) -> Int32? {
            guard let id else { return nil }
            guard id >= 0, id < count else {
                throw TokenizerError(
                    .invalidDefinition, "\(what) is \(id), but the vocabulary has ids 0 to \(count - 1)")
            }
            return Int32(id)
        }
        guard count > 0, count <= TokenizerDefinition.maximumVocabularySize else {
            throw TokenizerError(
                .invalidDefinition,
                "the vocabulary has \(count) tokens; 1 to \(TokenizerDefinition.maximumVocabularySize) are allowed")
        }
        guard definition.kinds.isEmpty || definition.kinds.count == count else {
            throw TokenizerError(
                .invalidDefinition, "there are \(count) tokens but \(definition.kinds.count) token types")
        }
        names = try SpellingTable(definition.tokens.map(\.utf8))
        var isControl = definition.kinds.map { $0 == .control || $0 == .unknown }
        if isControl.isEmpty { isControl = [Bool](repeating: false, count: count) }
        var isAdded = [Bool](repeating: false, count: count)
        let added = definition.effectiveAddedTokens
        for token in added {
            guard let id = try checked(token.id, "the id of added token \"\(token.content)\"") else { continue }
            isAdded[Int(id)] = true
            if token.isControl { isControl[Int(id)] = true }
        }
        bos = try checked(definition.bosToken, "the beginning-of-text token")
        _ = try checked(definition.unknownToken, "the unknown token")
        var ends: Set<Int32> = []
        eos = try checked(definition.endTokens.first, "the end-of-text token")
        for id in definition.endTokens {
            if let id = try checked(id, "an end-of-text token") { ends.insert(id) }
        }
        for name in Self.endNames {
            if let id = names.find(name), isControl[Int(id)] { ends.insert(id) }
        }
        self.ends = ends
        addsBos = definition.addsBos && bos != nil
        self.isControl = isControl
        self.isAdded = isAdded
        controlSpellings = (0..<count).filter { isControl[$0] && !definition.tokens[$0].isEmpty }
            .map { definition.tokens[$0] }
        controls = AddedTokenMatcher(added.filter(\.isControl))
        raw = AddedTokenMatcher(added.filter { $0.isControl || !$0.normalized })
        normalized = AddedTokenMatcher(added.filter { !$0.isControl && $0.normalized })
    }

    /// Cuts a text at added tokens and normalises what lies between.
    ///
    /// - Parameters:
    ///   - token: Called with each added token.
    ///   - segment: Called with each piece of text and whether it starts the text.
    package func split(
        _ text: String, specials: SpecialTokenHandling, composes: Bool, token: (Int32) -> Void,
        segment: (UnsafeBufferPointer<UInt8>, Bool) -> Void
    ) {
        var text = text
        text.withUTF8 { utf8 in
            raw.split(utf8, controlsAsText: specials == .asText) { part in
                switch part {
                case .token(let id): token(id)
                case .text(let range):
                    let piece = UnsafeBufferPointer(rebasing: utf8[range])
                    let hasMarks = specials == .parse && piece.contains(0xef)
                    let composing = composes && !NFC.isTriviallyNormalized(piece)
                    if !hasMarks && !composing {
                        splitNormalized(piece, range.lowerBound == 0, token: token, segment: segment)
                    } else {
                        var copy = hasMarks ? ControlTokenGuard.remove(from: piece) : Array(piece)
                        if composing { copy = NFC.normalize(copy) }
                        copy.withUnsafeBufferPointer {
                            splitNormalized($0, range.lowerBound == 0, token: token, segment: segment)
                        }
                    }
                }
            }
        }
    }

    private func splitNormalized(
        _ text: UnsafeBufferPointer<UInt8>, _ atStart: Bool, token: (Int32) -> Void,
        segment: (UnsafeBufferPointer<UInt8>, Bool) -> Void
    ) {
        if normalized.isEmpty {
            if !text.isEmpty { segment(text, atStart) }
            return
        }
        normalized.split(text, controlsAsText: true) { part in
            switch part {
            case .token(let id): token(id)
            case .text(let range):
                segment(UnsafeBufferPointer(rebasing: text[range]), atStart && range.lowerBound == 0)
            }
        }
    }
}

/// A tokenizer with an inventory; the inventory answers most of the protocol.
package protocol InventoriedTokenizer: Tokenizer {
    var inventory: TokenInventory { get }
}

extension InventoriedTokenizer {
    /// One more than the largest token id.
    public var vocabularySize: Int { inventory.names.count }
    /// The token that starts a text, where the model has one.
    public var bosToken: Int32? { inventory.bos }
    /// Tokens that end a generation.
    public var endTokens: Set<Int32> { inventory.ends }
    /// The first of the end tokens that the model's files name.
    public var eosToken: Int32? { inventory.eos }
    /// Whether the model expects the beginning token in front of a raw prompt.
    public var addsBos: Bool { inventory.addsBos }
    /// Spellings of all control tokens.
    public var controlTokenSpellings: [String] { inventory.controlSpellings }

    /// The id of a token by its exact vocabulary spelling.
    public func token(named name: String) -> Int32? { inventory.names.find(name) }

    /// The vocabulary spelling of a token.
    public func name(of token: Int32) -> String? {
        guard token >= 0, token < inventory.names.count else { return nil }
        let name = inventory.names[Int(token)]
        return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
    }

    /// Whether a token is a control token.
    public func isControl(_ token: Int32) -> Bool {
        token >= 0 && token < inventory.isControl.count && inventory.isControl[Int(token)]
    }

    /// The bytes that a token adds to the text.
    public func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        appendBytes(of: token, includeSpecial: includeSpecial, to: &bytes)
        return bytes
    }
}
