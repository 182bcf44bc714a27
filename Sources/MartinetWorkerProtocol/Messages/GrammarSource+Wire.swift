package import MartinetEngine
package import MartinetGrammars

extension WireGrammar {
    /// Writes a source, whose size has been checked.
    package init(_ grammar: GrammarSource) {
        switch grammar {
        case .literal(let text): literal = text
        case .jsonSchema(let text, form: .any): jsonSchema = text
        case .jsonSchema(let text, form: .canonical): canonicalJsonSchema = text
        case .jsonSchema(let text, form: .compact): compactJsonSchema = text
        case .regex(let text): regex = text
        case .ebnf(let text): ebnf = text
        case .anyText(before: let text): anyTextBefore = text
        case .sequence(let sources): sequence = WireGrammars(sources)
        case .choice(let sources): choice = WireGrammars(sources)
        case .repetition(let source, let minimum, let maximum):
            repetition.grammar = WireGrammar(source)
            repetition.minimum = Int64(minimum)
            if let maximum { repetition.maximum = Int64(maximum) }
        }
    }
}

extension WireGrammars {
    init(_ sources: [GrammarSource]) { grammars = sources.map { WireGrammar($0) } }
}

extension GrammarSource {
    /// Reads a source; ``validate()`` is still to say whether it is too large.
    ///
    /// - Throws: ``EngineError`` where a part says nothing, or lies deeper than any may.
    package init(_ wire: WireGrammar) throws(EngineError) { try self.init(wire, depth: 1) }

    private init(_ wire: WireGrammar, depth: Int) throws(EngineError) {
        guard depth <= Self.maxDepth else {
            throw EngineError(.invalidParameter, "The grammar is too deep: \(Self.maxDepth) levels are the most.")
        }
        func several(_ wire: WireGrammars) throws(EngineError) -> [GrammarSource] {
            var sources: [GrammarSource] = []
            for grammar in wire.grammars { sources.append(try GrammarSource(grammar, depth: depth + 1)) }
            return sources
        }
        switch wire.source {
        case .literal(let text)?: self = .literal(text)
        case .jsonSchema(let text)?: self = .jsonSchema(text)
        case .canonicalJsonSchema(let text)?: self = .jsonSchema(text, form: .canonical)
        case .compactJsonSchema(let text)?: self = .jsonSchema(text, form: .compact)
        case .regex(let text)?: self = .regex(text)
        case .ebnf(let text)?: self = .ebnf(text)
        case .anyTextBefore(let text)?: self = .anyText(before: text)
        case .sequence(let parts)?: self = .sequence(try several(parts))
        case .choice(let parts)?: self = .choice(try several(parts))
        case .repetition(let repetition)?:
            self = .repetition(
                try GrammarSource(repetition.grammar, depth: depth + 1), minimum: Int(repetition.minimum),
                maximum: repetition.hasMaximum ? Int(repetition.maximum) : nil)
        case nil:
            throw EngineError(.invalidParameter, "A part of the grammar says nothing.")
        }
    }
}
