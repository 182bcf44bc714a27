/// Where one text stands in a grammar. A value: a copy goes its own way.
package struct GrammarMatcher: Sendable {
    private let grammar: CompiledGrammar
    private var frames = FrameStore()
    private var configurations: [Configuration]
    /// Frames at which those that no longer matter are dropped.
    private var frameLimit = 1024
    /// Whether an end token has been accepted.
    package private(set) var hasEnded = false

    /// Stands before the first token.
    package init(_ grammar: CompiledGrammar) {
        self.grammar = grammar
        configurations = [Configuration(position: grammar.first, frame: 0)]
    }

    /// Accepts a token, where the grammar allows it.
    ///
    /// - Returns: `false` where it does not; then nothing has changed.
    package mutating func accept(_ token: Int32) -> Bool {
        guard !hasEnded else { return false }
        if grammar.vocabulary.endTokens.contains(token) {
            hasEnded = isComplete
            return hasEnded
        }
        guard let bytes = grammar.vocabulary.bytes(token) else { return false }
        return accept(bytes)
    }

    /// Accepts some bytes of a text, where the grammar allows them.
    ///
    /// - Returns: `false` where it does not; then nothing has changed.
    package mutating func accept(_ bytes: some Sequence<UInt8>) -> Bool {
        guard !hasEnded else { return false }
        guard let next = advanced(bytes) else { return false }
        (configurations, frames) = next
        if frames.count > frameLimit {
            frames.compact(keeping: &configurations)
            frameLimit = max(1024, frames.count * 2)
        }
        return true
    }

    /// Whether a token may come next.
    package func allows(_ token: Int32) -> Bool {
        guard !hasEnded else { return false }
        if grammar.vocabulary.endTokens.contains(token) { return isComplete }
        guard let bytes = grammar.vocabulary.bytes(token) else { return false }
        return advanced(bytes) != nil
    }

    private func advanced(_ bytes: some Sequence<UInt8>) -> ([Configuration], FrameStore)? {
        var frames = frames
        var configurations = configurations
        grammar.withPositions { positions in
            for byte in bytes {
                configurations = positions.step(positions.expand(configurations, &frames).reading, byte)
                if configurations.isEmpty { break }
            }
        }
        return configurations.isEmpty ? nil : (configurations, frames)
    }

    /// Whether the text may end here.
    package var isComplete: Bool {
        grammar.withPositions { $0.returns(from: configurations, frames).isComplete }
    }

    /// Whether nothing but the end may follow.
    package var mustEnd: Bool {
        var frames = frames
        return grammar.withPositions { positions in
            let expansion = positions.expand(configurations, &frames)
            return expansion.isComplete && expansion.reading.isEmpty
        }
    }

    /// The tokens that may come next; the end tokens are among them exactly when the text may end here.
    package func mask() -> TokenMask {
        hasEnded ? TokenMask(count: grammar.vocabulary.count) : grammar.mask(configurations, frames)
    }
}

extension CompiledGrammar {
    /// Whether a whole text is one of the language.
    package func matches(_ bytes: [UInt8]) -> Bool {
        var matcher = GrammarMatcher(self)
        return matcher.accept(bytes) && matcher.isComplete
    }
}
