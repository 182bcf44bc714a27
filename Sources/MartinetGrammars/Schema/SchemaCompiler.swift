/// Makes grammar nodes of the terms that a document's root leads to.
struct SchemaCompiler {
    /// What a term means, and what can follow of it.
    private struct Plan {
        var set: ValueSet
        var arrays: [ArrayPlan] = []
        var objects: [ObjectPlan] = []

        var terms: [SchemaTerm] { arrays.flatMap(\.terms) + objects.flatMap(\.terms) }
    }

    private static let maximumTerms = 4_096

    private let reader: SchemaReader
    private let rules: GrammarRules
    private let isCanonical: Bool
    private let marks: JSONMarks
    private var plans: [SchemaTerm: Plan] = [:]
    private var order: [SchemaTerm] = []
    /// Terms that some value meets.
    private var productive: Set<SchemaTerm> = []
    private var names: [RegularLanguage: GrammarNode] = [:]
    private var numbers: [RegularLanguage: GrammarNode] = [:]
    private var countedStrings: [ValueSet.Strings: GrammarNode] = [:]

    private var effort: Effort { reader.effort }

    /// - Parameter isCanonical: makes members come in order and characters be escaped only where they must be.
    init(_ reader: SchemaReader, rules: GrammarRules, isCanonical: Bool, marks: JSONMarks) {
        self.reader = reader
        self.rules = rules
        self.isCanonical = isCanonical
        self.marks = marks
    }

    /// The node of a term.
    mutating func node(_ root: SchemaTerm) throws(GrammarError) -> GrammarNode {
        try collect(root)
        try settle()
        guard productive.contains(root) else {
            throw GrammarError(
                "no JSON value is valid under this schema: its constraints exclude each other, or it needs itself without end"
            )
        }
        let nodes = TermNodes()
        for term in order where productive.contains(term) { nodes.set(try make(term, nodes), for: term) }
        return nodes[root] ?? .empty
    }

    /// Reads all terms that a root leads to.
    private mutating func collect(_ root: SchemaTerm) throws(GrammarError) {
        order = [root]
        var position = 0
        while position < order.count {
            let term = order[position]
            position += 1
            guard plans[term] == nil else { continue }
            guard plans.count < Self.maximumTerms else {
                throw GrammarError("the schema combines its parts in more than \(Self.maximumTerms) ways")
            }
            let plan = try plan(of: term)
            plans[term] = plan
            for other in plan.terms where plans[other] == nil { order.append(other) }
        }
        var seen: Set<SchemaTerm> = []
        order = order.filter { seen.insert($0).inserted }
    }

    private func plan(of term: SchemaTerm) throws(GrammarError) -> Plan {
        do throws(GrammarError) {
            var plan = Plan(set: try reader.values(term))
            if plan.set.strings.language != .all {
                plan.set.strings = ValueSet.Strings(language: try plan.set.strings.folded(effort))
            }
            for shape in plan.set.arrays where !shape.isPlainlyEmpty {
                plan.arrays.append(try ArrayPlan(shape, reader))
            }
            for shape in plan.set.objects where !shape.isPlainlyEmpty {
                plan.objects.append(try ObjectPlan(shape, isOrdered: isCanonical, effort))
            }
            return plan
        } catch {
            let place = term.literals.first.map { reader.document.schemas[$0.schema].place } ?? ""
            throw error.place == nil && !place.isEmpty ? GrammarError(error.message, at: place) : error
        }
    }

    /// Finds the terms that some value meets: the least set that contains what its own members make possible.
    private mutating func settle() throws(GrammarError) {
        var changed = true
        while changed {
            changed = false
            for term in order.reversed() where !productive.contains(term) {
                guard let plan = plans[term] else { continue }
                try effort.spend(200 + plan.terms.count * 20 + plan.arrays.reduce(0) { $0 + $1.moves.count * 40 })
                let set = plan.set
                let isProductive =
                    !set.words.isEmpty || set.numbers != .some(.none) || !set.strings.isEmpty
                    || plan.arrays.contains { $0.isProductive(productive) }
                    || plan.objects.contains { $0.isViable(.init(), entries($0)) }
                if isProductive {
                    productive.insert(term)
                    changed = true
                }
            }
        }
    }

    private func entries(_ plan: ObjectPlan) -> [Bool] { plan.terms.map { productive.contains($0) } }

    private mutating func make(_ term: SchemaTerm, _ nodes: TermNodes) throws(GrammarError) -> GrammarNode {
        guard let plan = plans[term] else { return .empty }
        let values = try simpleValues(plan.set)
        var arrays: [ArrayRules] = []
        for array in plan.arrays where array.isProductive(productive) {
            arrays.append(ArrayRules(array, productive: productive, nodes: nodes, marks: marks, rules: rules))
        }
        var objects: [ObjectRules] = []
        for object in plan.objects where object.isViable(.init(), entries(object)) {
            var names: [GrammarNode] = []
            for entry in object.entries {
                if isCanonical, entry.isSingle, let name = entry.names.words(atMost: 1)?.first {
                    names.append(.bytes(ByteSpelling.canonical(name)))
                } else {
                    names.append(try node(ofNames: entry.names))
                }
            }
            objects.append(
                ObjectRules(
                    object, isProductive: entries(object), names: names, nodes: nodes, marks: marks, rules: rules))
        }
        if arrays.isEmpty, objects.isEmpty { return Self.choice(values) }
        let (allArrays, allObjects) = (arrays, objects)
        return .rule(rules.add { Self.choice(values + allArrays.map { $0.node() } + allObjects.map { $0.node() }) })
    }

    private static func choice(_ nodes: [GrammarNode]) -> GrammarNode { nodes.count == 1 ? nodes[0] : .choice(nodes) }

    private mutating func node(ofNames language: RegularLanguage) throws(GrammarError) -> GrammarNode {
        if let node = names[language] { return node }
        let style: ByteSpelling.Style = isCanonical ? .canonicalString : .jsonString
        let node = try RegularLowering.node(insideString: language, style: style, rules: rules, effort)
        names[language] = node
        return node
    }

    /// The words, numbers and strings of a set.
    private mutating func simpleValues(_ set: ValueSet) throws(GrammarError) -> [GrammarNode] {
        var nodes: [GrammarNode] = []
        if set.words.contains(.null) { nodes.append(.bytes(Array("null".utf8))) }
        if set.words.contains(.true) { nodes.append(.bytes(Array("true".utf8))) }
        if set.words.contains(.false) { nodes.append(.bytes(Array("false".utf8))) }
        if let language = try numberTexts(set.numbers) {
            nodes.append(try node(ofNumbers: language))
        }
        if !set.strings.isEmpty {
            let inside = try stringInside(set.strings)
            nodes.append(.sequence([.bytes([UInt8(ascii: "\"")]), inside, .bytes([UInt8(ascii: "\"")])]))
        }
        return nodes
    }

    private mutating func node(ofNumbers language: RegularLanguage) throws(GrammarError) -> GrammarNode {
        if let node = numbers[language] { return node }
        guard let automaton = try ByteSpelling.automaton(language, style: .plain, effort) else {
            throw GrammarError("the bounds of a number have too many digits")
        }
        numbers[language] = .automaton(automaton)
        return .automaton(automaton)
    }

    /// The texts of a set of numbers; `nil` when it is empty.
    private func numberTexts(_ numbers: ValueSet.Numbers) throws(GrammarError) -> RegularLanguage? {
        guard case .some(var language) = numbers else {
            return isCanonical ? reader.numbers.canonicalSpelling : reader.numbers.everySpelling
        }
        guard !language.isEmpty else { return nil }
        // Where only whole numbers are valid, none is written with a fraction.
        if try language.subtracting(reader.numbers.integers, effort).isEmpty {
            language = try language.intersection(reader.numbers.withoutFraction, effort)
        }
        return isCanonical ? try reader.numbers.canonical(language, effort) : language
    }

    private mutating func stringInside(_ strings: ValueSet.Strings) throws(GrammarError) -> GrammarNode {
        guard strings.minimum > 0 || strings.maximum != nil else { return try node(ofNames: strings.language) }
        if let node = countedStrings[strings] { return node }
        let one = try node(ofNames: RegularLanguage(oneOf: .all, effort))
        let counted = GrammarNode.counted(one, minimum: strings.minimum, maximum: strings.maximum, rules: rules)
        // A rule, so that members of the same bounds share it.
        let node = GrammarNode.rule(rules.add { counted })
        countedStrings[strings] = node
        return node
    }
}
