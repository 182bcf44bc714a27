package import MartinetGrammars

extension GrammarSource {
    /// Deepest nesting of a source.
    package static let maxDepth = 32
    /// Most parts of a source.
    package static let maxParts = 16384
    /// Most bytes of all texts of a source.
    package static let maxBytes = 4 << 20

    /// Checks a source's size; what its texts mean is the compiler's to say.
    ///
    /// - Throws: ``EngineError`` that says which bound was passed.
    package func validate() throws(EngineError) {
        var parts = 0
        var bytes = 0
        try measure(depth: 1, &parts, &bytes)
    }

    private func measure(depth: Int, _ parts: inout Int, _ bytes: inout Int) throws(EngineError) {
        parts += 1
        guard depth <= Self.maxDepth, parts <= Self.maxParts else {
            throw EngineError(
                .invalidParameter,
                "The grammar is too large: it may have \(Self.maxParts) parts, \(Self.maxDepth) deep.")
        }
        switch self {
        case .literal(let text), .jsonSchema(let text, _), .regex(let text), .ebnf(let text),
            .anyText(before: let text):
            bytes += text.utf8.count
            guard bytes <= Self.maxBytes else {
                throw EngineError(
                    .invalidParameter, "The grammar is too large: its texts may have \(Self.maxBytes) bytes.")
            }
        case .sequence(let sources), .choice(let sources):
            for source in sources { try source.measure(depth: depth + 1, &parts, &bytes) }
        case .repetition(let source, let minimum, let maximum):
            guard minimum >= 0, maximum ?? .max >= minimum else {
                throw EngineError(
                    .invalidParameter,
                    "A repetition of the grammar must have bounds from 0 up, the upper not below the lower.")
            }
            try source.measure(depth: depth + 1, &parts, &bytes)
        }
    }
}
