/// Reads the schemas of a document as sets of values.
final class SchemaReader {
    let document: SchemaDocument
    let effort: Effort
    let numbers: NumberLanguages
    private var sets: [SchemaTerm.Literal: ValueSet] = [:]
    private var terms: [SchemaTerm: ValueSet] = [:]
    /// The schemas being read, for those that refer to themselves.
    private var open: Set<SchemaTerm.Literal> = []
    private static let maximumDepth = 200

    init(_ document: SchemaDocument, _ effort: Effort) throws(GrammarError) {
        self.document = document
        self.effort = effort
        numbers = try NumberLanguages(effort)
    }

    /// The values that meet a term.
    func values(_ term: SchemaTerm) throws(GrammarError) -> ValueSet {
        if term.isNever { return .none }
        if let set = terms[term] { return set }
        var set = ValueSet.all
        for literal in term.literals { set = try set.intersection(values(literal), effort) }
        terms[term] = set
        return set
    }

    /// The values of a schema by its number.
    func values(_ schema: Int) throws(GrammarError) -> ValueSet {
        try values(SchemaTerm.Literal(schema: schema, isNegated: false))
    }

    private func values(_ literal: SchemaTerm.Literal) throws(GrammarError) -> ValueSet {
        if let set = sets[literal] { return set }
        let place = document.schemas[literal.schema].place
        guard open.count < Self.maximumDepth else { throw GrammarError("schemas nest too deep", at: place) }
        guard open.insert(literal).inserted else {
            throw GrammarError("the schema refers to itself before anything is matched", at: place)
        }
        defer { open.remove(literal) }
        try effort.spend(2_000)
        let set: ValueSet
        do throws(GrammarError) {
            if literal.isNegated {
                set = try values(literal.schema).complement(numbers, effort)
            } else {
                switch document.schemas[literal.schema].content {
                case .boolean(let flag): set = flag ? .all : .none
                case .constant(let value): set = try constant(value, place: place)
                case .keywords(let keywords): set = try read(literal.schema, keywords)
                }
            }
        } catch {
            throw error.place == nil && !place.isEmpty ? GrammarError(error.message, at: place) : error
        }
        sets[literal] = set
        return set
    }

    /// The set of one value.
    func constant(_ value: SchemaValue, place: String) throws(GrammarError) -> ValueSet {
        try constants([value], place: place)
    }

    /// The set of some values.
    func constants(_ values: [SchemaValue], place: String) throws(GrammarError) -> ValueSet {
        var set = ValueSet.none
        var texts: [String] = []
        for value in values {
            switch value {
            case .null: set.words.insert(.null)
            case .boolean(let flag): set.words.insert(flag ? .true : .false)
            case .string(let name): texts.append(name.text)
            case .number(let number):
                let language = try numbers.numbers([.equal], number, effort)
                set = try set.union(ValueSet(numbers: .some(language)), effort)
            case .array(let items):
                let terms = items.map { SchemaTerm(document.constant($0, place: place)) }
                set.arrays.append(ArrayShape(prefix: terms, rest: .never, minimum: items.count))
            case .object(let members):
                let names = try RegularLanguage(words: members.names.map(\.text), effort)
                set.objects.append(
                    ObjectShape(
                        members: members.values.mapValues { SchemaTerm(document.constant($0, place: place)) },
                        rules: [.init(names: try names.complement(effort), term: .never)],
                        required: Set(members.names), order: NameOrder(members.names)))
            }
        }
        if !texts.isEmpty { set.strings = ValueSet.Strings(language: try RegularLanguage(words: texts, effort)) }
        set.arrays = try ValueSet.merged(set.arrays)
        set.objects = try ValueSet.merged(set.objects)
        return set
    }

    private func read(_ schema: Int, _ keywords: SchemaMembers) throws(GrammarError) -> ValueSet {
        var reading = SchemaReading(schema: schema, keywords: keywords, reader: self)
        return try reading.values()
    }
}
