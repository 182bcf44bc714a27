/// What a text must match, as requests say it. It is compiled where the model runs.
public indirect enum GrammarSource: Sendable, Hashable {
    /// Exactly this text.
    case literal(String)
    /// A JSON value that a JSON Schema (draft 2020-12) takes; the schema is JSON text. `true` takes any value.
    case jsonSchema(String, form: JSONSchemaForm = .any)
    /// A regular expression (ECMA-262), for the whole text.
    case regex(String)
    /// A grammar in EBNF: GBNF, or the Lark-like form. Its start rule is `root` or `start`.
    case ebnf(String)
    /// Any text that does not hold this one, then this one.
    case anyText(before: String)
    /// One after the other.
    case sequence([GrammarSource])
    /// One of several.
    case choice([GrammarSource])
    /// One, so many times; no upper bound for `nil`.
    case repetition(GrammarSource, minimum: Int, maximum: Int?)

    /// Any JSON object.
    public static func jsonObject(form: JSONSchemaForm = .any) -> GrammarSource {
        .jsonSchema(#"{"type":"object"}"#, form: form)
    }
}

/// Which of the JSON texts of a value may be written.
public enum JSONSchemaForm: Sendable, Hashable, CaseIterable {
    /// All of them: members in any order, characters with any escape, white space between all tokens.
    case any
    /// As programs write: members in the order in which the schema names them, escapes only where JSON needs them, a
    /// space at most and only behind commas and colons.
    case canonical
    /// As ``canonical``, without white space.
    case compact
}

/// Why a grammar cannot be used.
public struct GrammarError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was wrong, where, and what to do.
    public var message: String
    /// Where in the source: a JSON pointer into a schema, such as `/properties/age/minimum`; a line and column.
    public var place: String?

    /// Describes an error.
    public init(_ message: String, at place: String? = nil) {
        self.message = message
        self.place = place
    }

    /// The message, with its place.
    public var description: String { place.map { "\(message) (at \($0))" } ?? message }
}
