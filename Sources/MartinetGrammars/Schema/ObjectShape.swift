/// In which order a schema names members. It does not matter for which objects are valid, so all are equal.
struct NameOrder: Hashable, Sendable {
    /// Each once.
    private(set) var names: [MemberName] = []

    init(_ names: [MemberName] = []) {
        append(names)
    }

    /// Adds those that are not in it.
    mutating func append(_ more: [MemberName]) {
        guard !more.isEmpty else { return }
        var known = Set(names)
        names += more.filter { known.insert($0).inserted }
    }

    static func == (left: NameOrder, right: NameOrder) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
}

/// What objects must be like.
struct ObjectShape: SchemaShape {
    /// A term for the members of a language of names.
    struct Rule: Hashable, Sendable {
        var names: RegularLanguage
        var term: SchemaTerm
    }

    /// The terms of single members.
    var members: [MemberName: SchemaTerm] = [:]
    /// The terms of all members with a name of some kind, those of `members` included.
    var rules: Set<Rule> = []
    var required: Set<MemberName> = []
    /// The members that must be there where one is.
    var dependencies: [MemberName: Set<MemberName>] = [:]
    /// Languages of names; each must have a member.
    var existing: Set<RegularLanguage> = []
    var minimum = 0
    var maximum: Int?
    var order = NameOrder()

    static let all = ObjectShape()

    var isPlainlyEmpty: Bool {
        minimum > maximum ?? .max || required.count > maximum ?? .max
            || required.contains { members[$0]?.isNever == true }
    }

    var size: Int { members.count + rules.count + required.count + dependencies.count + existing.count }

    func intersection(_ other: ObjectShape) -> ObjectShape {
        var result = self
        result.members.merge(other.members) { $0.and($1) }
        result.rules.formUnion(other.rules)
        result.required.formUnion(other.required)
        result.order.append(other.order.names)
        result.dependencies.merge(other.dependencies) { $0.union($1) }
        result.existing.formUnion(other.existing)
        result.minimum = max(minimum, other.minimum)
        result.maximum = maximum.map { min($0, other.maximum ?? $0) } ?? other.maximum
        return result
    }

    /// All that a member must meet.
    func term(of name: MemberName) -> SchemaTerm {
        var term = members[name] ?? .always
        for rule in rules where rule.names.contains(name.text) { term = term.and(rule.term) }
        return term
    }

    /// Shapes of which an object has one when it has not this.
    func complement(_ effort: Effort) throws(GrammarError) -> [ObjectShape] {
        var shapes: [ObjectShape] = []
        for name in required.sorted() { shapes.append(ObjectShape(members: [name: .never])) }
        for (name, term) in members.sorted(by: { $0.key < $1.key }) {
            for opposite in term.opposites { shapes.append(ObjectShape(members: [name: opposite], required: [name])) }
        }
        for rule in rules {
            if rule.term.isNever {
                shapes.append(ObjectShape(existing: [rule.names]))
            } else if let names = rule.names.words(atMost: 32) {
                for name in names.map({ MemberName($0) }) {
                    for opposite in rule.term.opposites {
                        shapes.append(ObjectShape(members: [name: opposite], required: [name]))
                    }
                }
            } else if rule.term != .always {
                throw GrammarError(
                    "the opposite of `additionalProperties` or `patternProperties` with a schema is not supported")
            }
        }
        for (name, others) in dependencies.sorted(by: { $0.key < $1.key }) {
            for other in others.sorted() {
                shapes.append(ObjectShape(members: [other: .never], required: [name]))
            }
        }
        for names in existing { shapes.append(ObjectShape(rules: [Rule(names: names, term: .never)])) }
        if minimum > 0 { shapes.append(ObjectShape(maximum: minimum - 1)) }
        if let maximum { shapes.append(ObjectShape(minimum: maximum + 1)) }
        return shapes
    }
}
