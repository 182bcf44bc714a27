/// The reading of one schema object, keyword by keyword.
struct SchemaReading {
    let schema: Int
    let keywords: SchemaMembers
    let reader: SchemaReader
    private var set = ValueSet.all

    init(schema: Int, keywords: SchemaMembers, reader: SchemaReader) {
        self.schema = schema
        self.keywords = keywords
        self.reader = reader
    }

    /// What says nothing about which values are valid.
    private static let annotations: Set<String> = [
        "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment",
        "$schema", "$id", "$anchor", "$dynamicAnchor", "$defs", "definitions", "contentMediaType", "contentEncoding",
        "contentSchema",
    ]
    /// Those of which others need to know, and those that are read together with another.
    private static let known: Set<String> = [
        "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "minLength",
        "maxLength", "pattern", "format", "items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains",
        "minContains", "maxContains", "unevaluatedItems", "properties", "patternProperties", "additionalProperties",
        "propertyNames", "required", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas",
        "unevaluatedProperties", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref",
    ]

    private static let drafts = [
        "2020-12/schema", "2019-09/schema", "draft-07/schema", "draft-06/schema", "draft-04/schema",
    ]

    var effort: Effort { reader.effort }

    func value(_ keyword: String) -> SchemaValue? { keywords[MemberName(keyword)] }
    func place(_ keyword: String) -> String { "\(reader.document.schemas[schema].place)/\(keyword)" }
    func child(_ path: String) throws(GrammarError) -> Int { try reader.document.child(schema, path) }
    func term(_ path: String) throws(GrammarError) -> SchemaTerm {
        let number = try child(path)
        guard case .boolean(let flag) = reader.document.schemas[number].content else { return SchemaTerm(number) }
        return flag ? .always : .never
    }

    func problem(_ keyword: String, _ message: String) -> GrammarError {
        GrammarError("`\(keyword)` \(message)", at: place(keyword))
    }

    func number(_ keyword: String) throws(GrammarError) -> DecimalNumber? {
        guard let value = value(keyword) else { return nil }
        guard case .number(let number) = value else { throw problem(keyword, "must be a number, not \(value.kind)") }
        return number
    }

    func count(_ keyword: String) throws(GrammarError) -> Int? {
        guard let number = try number(keyword) else { return nil }
        guard let count = number.count, count <= 1 << 40 else {
            throw problem(keyword, "must be a whole number from 0 to \(1 << 40)")
        }
        return count
    }

    func text(_ keyword: String) throws(GrammarError) -> String? {
        guard let value = value(keyword) else { return nil }
        guard let text = value.text else { throw problem(keyword, "must be a string, not \(value.kind)") }
        return text
    }

    func flag(_ keyword: String) throws(GrammarError) -> Bool {
        guard let value = value(keyword) else { return false }
        guard case .boolean(let flag) = value else { throw problem(keyword, "must be a boolean, not \(value.kind)") }
        return flag
    }

    func list(_ keyword: String) throws(GrammarError) -> [SchemaValue]? {
        guard let value = value(keyword) else { return nil }
        guard case .array(let values) = value else { throw problem(keyword, "must be an array, not \(value.kind)") }
        return values
    }

    func table(_ keyword: String) throws(GrammarError) -> [(key: MemberName, value: SchemaValue)] {
        guard let value = value(keyword) else { return [] }
        guard case .object(let members) = value else { throw problem(keyword, "must be an object, not \(value.kind)") }
        return members.values.sorted { $0.key < $1.key }
    }

    func names(_ value: SchemaValue, _ keyword: String) throws(GrammarError) -> [MemberName] {
        guard case .array(let values) = value else { throw problem(keyword, "must be a list of names") }
        var names: [MemberName] = []
        for value in values {
            guard case .string(let name) = value else { throw problem(keyword, "must be a list of names") }
            names.append(name)
        }
        return names
    }

    /// Keeps what is in another set, too.
    mutating func restrict(_ other: ValueSet) throws(GrammarError) {
        set = try set.intersection(other, effort)
    }

    /// The values of the schema.
    mutating func values() throws(GrammarError) -> ValueSet {
        try checkKeywords()
        try readKinds()
        try readNumbers()
        try readStrings()
        if !set.arrays.isEmpty || value("unevaluatedItems") != nil {
            var others = ValueSet.all
            others.arrays = [try arrayShape()]
            try restrict(others)
        }
        if !set.objects.isEmpty || value("unevaluatedProperties") != nil {
            var others = ValueSet.all
            others.objects = [try objectShape()]
            try restrict(others)
        }
        if let reference = try text("$ref") {
            try restrict(reader.values(reader.document.target(of: reference, from: schema)))
        }
        for index in (try list("allOf") ?? []).indices { try restrict(reader.values(child("allOf/\(index)"))) }
        try readAlternatives()
        return set
    }

    private func checkKeywords() throws(GrammarError) {
        for name in keywords.names.sorted()
        where !Self.known.contains(name.text) && !Self.annotations.contains(name.text) {
            throw GrammarError(
                "the keyword `\(name.text.prefix(80))` is not supported", at: place(SchemaDocument.escaped(name.text)))
        }
        if let draft = try text("$schema"),
            !Self.drafts.contains(where: { draft.hasSuffix($0) || draft.hasSuffix($0 + "#") })
        {
            throw problem("$schema", "names a dialect that is not known; use JSON Schema 2020-12")
        }
    }

    private mutating func readKinds() throws(GrammarError) {
        if let type = value("type") {
            let names: [SchemaValue] = if case .array(let list) = type { list } else { [type] }
            guard !names.isEmpty else { throw problem("type", "must name a type") }
            var kinds = ValueSet.none
            for name in names {
                switch name.text {
                case "null": kinds.words.insert(.null)
                case "boolean": kinds.words.formUnion([.true, .false])
                case "number": kinds.numbers = .all
                case "integer":
                    if kinds.numbers != .all { kinds.numbers = .some(reader.numbers.integers) }
                case "string": kinds.strings = .all
                case "array": kinds.arrays = [.all]
                case "object": kinds.objects = [.all]
                default: throw problem("type", "must be one or several of the seven types of JSON Schema")
                }
            }
            set = kinds
        }
        if let values = try list("enum") { try restrict(reader.constants(values, place: place("enum"))) }
        if let value = value("const") { try restrict(reader.constant(value, place: place("const"))) }
    }

    private mutating func readNumbers() throws(GrammarError) {
        let bounds: [(String, Set<NumberLanguages.Order>)] = [
            ("minimum", [.equal, .above]), ("maximum", [.equal, .below]), ("exclusiveMinimum", [.above]),
            ("exclusiveMaximum", [.below]),
        ]
        for (keyword, orders) in bounds {
            guard let bound = try number(keyword) else { continue }
            try restrictNumbers(reader.numbers.numbers(orders, bound, effort))
        }
        if let divisor = try number("multipleOf") {
            guard !divisor.isNegative, !divisor.digits.isEmpty else {
                throw problem("multipleOf", "must be above zero")
            }
            do throws(GrammarError) {
                try restrictNumbers(reader.numbers.multiples(of: divisor, effort))
            } catch {
                throw GrammarError(error.message, at: place("multipleOf"))
            }
        }
    }

    private mutating func restrictNumbers(_ language: RegularLanguage) throws(GrammarError) {
        var others = ValueSet.all
        others.numbers = .some(language)
        try restrict(others)
    }

    private mutating func readStrings() throws(GrammarError) {
        var others = ValueSet.all
        others.strings.minimum = try count("minLength") ?? 0
        others.strings.maximum = try count("maxLength")
        try restrict(others)
        if let pattern = try text("pattern"), !set.strings.isEmpty {
            others.strings = .init(language: try language(searching: pattern, "pattern"))
            try restrict(others)
        }
        guard let format = try text("format") else { return }
        if let bounds = StringFormat.integerBounds[format] {
            let lowest = try reader.numbers.numbers([.equal, .above], bounds.lowest, effort)
            let highest = try reader.numbers.numbers([.equal, .below], bounds.highest, effort)
            try restrictNumbers(lowest.intersection(highest, effort))
        } else if !StringFormat.wideNumbers.contains(format) {
            guard let language = try StringFormat.language(named: format, effort) else {
                throw problem("format", "\"\(format.prefix(80))\" is not supported")
            }
            others.strings = .init(language: language)
            try restrict(others)
        }
    }

    func language(searching pattern: String, _ path: String) throws(GrammarError) -> RegularLanguage {
        do throws(GrammarError) {
            return try RegularLanguage(searching: pattern, effort)
        } catch {
            throw GrammarError(error.message, at: place(path))
        }
    }

    private mutating func readAlternatives() throws(GrammarError) {
        if let alternatives = try list("anyOf") {
            var union = ValueSet.none
            for index in alternatives.indices {
                union = try union.union(reader.values(child("anyOf/\(index)")), effort)
            }
            try restrict(union)
        }
        if let alternatives = try list("oneOf") {
            var choices: [ValueSet] = []
            for index in alternatives.indices {
                choices.append(try set.intersection(reader.values(child("oneOf/\(index)")), effort))
            }
            set = try exclusive(choices)
        }
        if value("not") != nil {
            try restrict(opposite(of: child("not"), "not"))
        }
        if value("if") != nil, value("then") != nil || value("else") != nil {
            let condition = try child("if")
            var then = try reader.values(condition)
            if value("then") != nil { then = try then.intersection(reader.values(child("then")), effort) }
            var otherwise = try opposite(of: condition, "if")
            if value("else") != nil { otherwise = try otherwise.intersection(reader.values(child("else")), effort) }
            try restrict(then.union(otherwise, effort))
        }
        for (name, _) in try table("dependentSchemas") {
            var without = ValueSet.all
            without.objects = [ObjectShape(members: [name: .never])]
            let dependent = try reader.values(child("dependentSchemas/\(SchemaDocument.escaped(name.text))"))
            try restrict(without.union(dependent, effort))
        }
    }

    private func opposite(of schema: Int, _ keyword: String) throws(GrammarError) -> ValueSet {
        // Kinds that the schema cannot have anyway need no opposite.
        var values = try reader.values(schema)
        if set.arrays.isEmpty { values.arrays = [] }
        if set.objects.isEmpty { values.objects = [] }
        do throws(GrammarError) {
            return try values.complement(reader.numbers, effort)
        } catch {
            throw GrammarError("\(error.message), and `\(keyword)` needs it", at: place(keyword))
        }
    }

    /// The values that are in one of some sets alone.
    private func exclusive(_ choices: [ValueSet]) throws(GrammarError) -> ValueSet {
        var result = ValueSet.none
        for (index, choice) in choices.enumerated() {
            var alone = choice
            for (other, rival) in choices.enumerated() where other != index {
                var rival = rival
                let common = try choice.intersection(rival, effort)
                if reader.isEmpty(arrays: common.arrays) { rival.arrays = [] }
                if reader.isEmpty(objects: common.objects) { rival.objects = [] }
                do throws(GrammarError) {
                    alone = try alone.intersection(rival.complement(reader.numbers, effort), effort)
                } catch {
                    throw GrammarError(
                        "the schemas \(min(index, other)) and \(max(index, other)) of `oneOf` may take the same value, and "
                            + "\(error.message); use `anyOf`, or a `required` member with a `const` of its own in each",
                        at: place("oneOf"))
                }
            }
            result = try result.union(alone, effort)
        }
        return result
    }
}
