/// Schemas that must hold together, each itself or its opposite.
struct SchemaTerm: Hashable, Sendable {
    /// A schema of the document, or its opposite.
    struct Literal: Hashable, Comparable, Sendable {
        var schema: Int
        var isNegated: Bool

        static func < (left: Literal, right: Literal) -> Bool {
            (left.schema, left.isNegated ? 1 : 0) < (right.schema, right.isNegated ? 1 : 0)
        }
    }

    /// In order; none for the term that all values meet.
    let literals: [Literal]
    /// Whether no value meets it.
    let isNever: Bool

    /// What all values meet.
    static let always = SchemaTerm(literals: [], isNever: false)
    /// What no value meets.
    static let never = SchemaTerm(literals: [], isNever: true)

    /// That a schema of the document holds.
    init(_ schema: Int) {
        self.init(literals: [Literal(schema: schema, isNegated: false)], isNever: false)
    }

    private init(literals: [Literal], isNever: Bool) {
        self.literals = literals
        self.isNever = isNever
    }

    /// That both hold.
    func and(_ other: SchemaTerm) -> SchemaTerm {
        if isNever || other.isNever { return .never }
        if literals.isEmpty { return other }
        if other.literals.isEmpty || self == other { return self }
        let all = Set(literals + other.literals).sorted()
        let isNever = zip(all, all.dropFirst()).contains { $0.schema == $1.schema }
        return isNever ? .never : SchemaTerm(literals: all, isNever: false)
    }

    /// Terms of which one holds where this does not.
    var opposites: [SchemaTerm] {
        if isNever { return [.always] }
        return literals.map { literal in
            SchemaTerm(literals: [Literal(schema: literal.schema, isNegated: !literal.isNegated)], isNever: false)
        }
    }
}
