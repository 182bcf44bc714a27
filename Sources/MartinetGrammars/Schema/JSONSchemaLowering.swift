/// Lowers JSON Schemas (draft 2020-12) to grammar nodes of the JSON texts that are valid under them.
///
/// A schema is read as a set of values: a regular language for its numbers and for its strings, shapes for its arrays and
/// objects. Keywords that stand together intersect their sets, `anyOf` unites them, `not` and `oneOf` use opposites. What
/// cannot be said exactly is an error that names the keyword; see `docs/reference/json-schema.md`.
package enum JSONSchemaLowering {
    /// The longest schema, in bytes.
    package static let maximumLength = 1 << 20
    /// How much white space may stand between two tokens of JSON, in characters.
    package static let defaultSpace = 24

    /// The node of the valid texts, without white space around them.
    ///
    /// - Parameters:
    ///   - schema: JSON text.
    ///   - form: which texts of a valid value are in it.
    ///   - rules: takes the rules that the node refers to.
    ///   - maximumSpace: how much white space may stand between two tokens in any form, in characters.
    /// - Throws: ``GrammarError`` for what is no schema, uses a keyword that is not supported, matches nothing, or costs too
    ///   much.
    package static func node(
        _ schema: String, form: JSONSchemaForm = .any, rules: GrammarRules, maximumSpace: Int = defaultSpace
    ) throws(GrammarError) -> GrammarNode {
        guard schema.utf8.count <= maximumLength else {
            throw GrammarError("the schema is longer than \(maximumLength) bytes")
        }
        let effort = Effort()
        let document = try SchemaDocument(SchemaValue.parse(schema))
        let reader = try SchemaReader(document, effort)
        let marks = JSONMarks(form, maximumSpace: maximumSpace)
        var compiler = SchemaCompiler(reader, rules: rules, isCanonical: form != .any, marks: marks)
        return try compiler.node(SchemaTerm(0))
    }
}
