public import MartinetGrammars

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

    /// Throws a 400 that names the field where the grammar cannot be used.
    func check() throws(APIError) {

    }
}
