public import MartinetGrammars
internal import Synchronization

/// What an answer's text must match, and the field of the request that says so.
public struct OutputConstraint: Sendable, Hashable {
    /// What it must match.
    public var grammar: GrammarSource
    /// The field at fault where the grammar cannot be used, such as `response_format.json_schema.schema`.
    public var parameter: String

    /// Describes a constraint.
    public init(_ grammar: GrammarSource, parameter: String) {
        self.grammar = grammar
        self.parameter = parameter
    }

    /// Sources that can be used: clients send the same schema with every request. What it takes is bounded.
    private static let known = Mutex<Set<GrammarSource>>([])
    private static let maximumKnown = 256
    private static let maximumKnownLength = 16 << 10

    /// Throws a 400 that names the field where the grammar cannot be used.
    func check() throws(APIError) {
        guard !Self.known.withLock({ $0.contains(grammar) }) else { return }
        do {
            try GrammarCompiler.check(grammar)
        } catch {
            throw .invalid(parameter, "`\(parameter)` cannot be used: \(error).")
        }
        guard isShort else { return }
        Self.known.withLock { known in
            if known.count >= Self.maximumKnown { known.removeAll() }
            known.insert(grammar)
        }
    }

    private var isShort: Bool {
        switch grammar {
        case .jsonSchema(let text, _), .regex(let text), .ebnf(let text): text.utf8.count <= Self.maximumKnownLength
        case .literal, .anyText, .sequence, .choice, .repetition: false
        }
    }
}
