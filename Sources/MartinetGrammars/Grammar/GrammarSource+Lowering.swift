extension GrammarSource {
    /// Bounds of what a request may ask for.
    private enum Limit {
        static let bytes = 1 << 20
        static let depth = 64
        static let parts = 100_000
        static let repetitions = 100_000
    }

    /// The grammar that this says.
    ///
    /// - Parameter rules: where its rules go.
    /// - Throws: what is wrong with it, or which bound it is beyond.
    func lowered(into rules: GrammarRules) throws(GrammarError) -> GrammarNode {
        var size = Size()
        return try lowered(into: rules, depth: 0, &size)
    }

    private struct Size {
        var bytes = 0
        var parts = 0
    }

    private func lowered(into rules: GrammarRules, depth: Int, _ size: inout Size) throws(GrammarError) -> GrammarNode {
        guard depth <= Limit.depth else {
            throw GrammarError("a grammar may be nested \(Limit.depth) deep; make it flatter")
        }
        size.parts += 1
        size.bytes += text?.utf8.count ?? 0
        guard size.parts <= Limit.parts else {
            throw GrammarError("a grammar may have \(Limit.parts) parts; use fewer choices")
        }
        guard size.bytes <= Limit.bytes else {
            throw GrammarError("the sources of a grammar may be \(Limit.bytes) bytes long in all; make them shorter")
        }
        switch self {
        case .literal(let text): return text.isEmpty ? .empty : .bytes(Array(text.utf8))
        case .jsonSchema(let schema, let form): return try JSONSchemaLowering.node(schema, form: form, rules: rules)
        case .regex(let regex): return try RegularLowering.node(regex: regex)
        case .ebnf(let grammar): return try EBNFLowering.node(grammar, rules: rules)
        case .anyText(let marker):
            guard !marker.isEmpty else { throw GrammarError("the text to wait for is empty") }
            return try RegularLowering.node(textBefore: marker)
        case .sequence(let parts):
            var nodes: [GrammarNode] = []
            for part in parts { nodes.append(try part.lowered(into: rules, depth: depth + 1, &size)) }
            return nodes.isEmpty ? .empty : .sequence(nodes)
        case .choice(let options):
            guard !options.isEmpty else { throw GrammarError("a choice of nothing can match nothing; give an option") }
            var nodes: [GrammarNode] = []
            for option in options { nodes.append(try option.lowered(into: rules, depth: depth + 1, &size)) }
            return .choice(nodes)
        case .repetition(let body, let minimum, let maximum):
            guard minimum >= 0, minimum <= maximum ?? minimum else {
                throw GrammarError("a repetition from \(minimum) to \(maximum ?? minimum) times can match nothing")
            }
            guard max(minimum, maximum ?? 0) <= Limit.repetitions else {
                throw GrammarError("a repetition may be of \(Limit.repetitions) times; leave the bound out")
            }
            return .repetition(
                try body.lowered(into: rules, depth: depth + 1, &size), minimum: minimum, maximum: maximum)
        }
    }

    /// The same with all schemas in a canonical form, which is part of what they take; `nil` where they are already.
    var canonical: GrammarSource? {
        var isChanged = false
        func canonical(_ source: GrammarSource) -> GrammarSource {
            switch source {
            case .jsonSchema(let schema, form: .any):
                isChanged = true
                return .jsonSchema(schema, form: .canonical)
            case .literal, .jsonSchema, .regex, .ebnf, .anyText: return source
            case .sequence(let parts): return .sequence(parts.map(canonical))
            case .choice(let options): return .choice(options.map(canonical))
            case .repetition(let body, let minimum, let maximum):
                return .repetition(canonical(body), minimum: minimum, maximum: maximum)
            }
        }
        let result = canonical(self)
        return isChanged ? result : nil
    }

    private var text: String? {
        switch self {
        case .literal(let text), .jsonSchema(let text, _), .regex(let text), .ebnf(let text), .anyText(let text): text
        case .sequence, .choice, .repetition: nil
        }
    }
}
