/// What members an object of some shape may have, one entry for each name and for each kind of names that need not be told
/// apart.
struct ObjectPlan: Sendable {
    /// A name, or names.
    struct Entry: Sendable {
        var names: RegularLanguage
        /// Whether it is one name, which an object has once at most.
        var isSingle: Bool
        var term: SchemaTerm
        /// Which of the languages that must have a member it has names of.
        var witnesses: Set<Int>
    }

    /// What matters of the members that an object has had so far.
    struct State: Hashable, Sendable {
        /// Entries seen: all single ones, others where a minimum counts them.
        var seen: Set<Int> = []
        /// Members, where a maximum counts them.
        var count = 0
        var witnessed: Set<Int> = []
    }

    private static let maximumNames = 1_000
    private static let maximumClasses = 64

    private(set) var entries: [Entry] = []
    private var required: Set<Int> = []
    private var dependencies: [Int: Set<Int>] = [:]
    private let minimum: Int
    private let maximum: Int?
    private let witnessCount: Int

    init(_ shape: ObjectShape, _ effort: Effort) throws(GrammarError) {
        minimum = shape.minimum
        maximum = shape.maximum
        witnessCount = shape.existing.count
        let existing = Array(shape.existing)
        var names = Set(shape.members.keys).union(shape.required)
        for (name, others) in shape.dependencies { names.formUnion(others.union([name])) }
        try effort.spend(names.count * (shape.rules.count + 1) * 20)
        var classes = [
            Entry(
                names: try RegularLanguage(words: names.map(\.text), effort).complement(effort), isSingle: false,
                term: .always, witnesses: [])
        ]
        for rule in shape.rules.sorted(by: { $0.term.isNever && !$1.term.isNever }) {
            try Self.split(&classes, by: rule.names, effort) { $0.term = $0.term.and(rule.term) }
        }
        for (index, language) in existing.enumerated() {
            try Self.split(&classes, by: language, effort) { $0.witnesses.insert(index) }
        }
        // A class of few names is these names: so none of them comes twice, and all are counted.
        for entry in classes {
            if let words = entry.names.words(atMost: 64) {
                names.formUnion(words.map { MemberName($0) })
            } else {
                entries.append(entry)
            }
        }
        guard names.count <= Self.maximumNames else {
            throw GrammarError("an object has more than \(Self.maximumNames) named members")
        }
        var numbers: [MemberName: Int] = [:]
        for name in names.sorted() {
            numbers[name] = entries.count
            let witnesses = existing.indices.filter { existing[$0].contains(name.text) }
            entries.append(
                Entry(
                    names: try RegularLanguage(words: [name.text], effort), isSingle: true, term: shape.term(of: name),
                    witnesses: Set(witnesses)))
        }
        required = Set(shape.required.compactMap { numbers[$0] })
        for (name, others) in shape.dependencies {
            if let number = numbers[name] { dependencies[number] = Set(others.compactMap { numbers[$0] }) }
        }
        try refuseCounting()
    }

    /// Splits classes in those within a language, which are changed, and those without.
    private static func split(
        _ classes: inout [Entry], by language: RegularLanguage, _ effort: Effort, change: (inout Entry) -> Void
    ) throws(GrammarError) {
        var parts: [Entry] = []
        for entry in classes {
            var inside = entry
            inside.names = try entry.names.intersection(language, effort)
            change(&inside)
            if !inside.names.isEmpty, !inside.term.isNever { parts.append(inside) }
            var outside = entry
            outside.names = try entry.names.subtracting(language, effort)
            if !outside.names.isEmpty { parts.append(outside) }
        }
        guard parts.count <= maximumClasses else {
            throw GrammarError("the patterns of an object's member names overlap in too many ways")
        }
        classes = parts
    }

    /// A grammar cannot tell whether two names of one kind are different, so it cannot count them either.
    private func refuseCounting() throws(GrammarError) {
        if minimum > max(1, required.count + 1), entries.contains(where: { !$0.isSingle }) {
            throw GrammarError(
                "`minProperties` above 1 is supported where all names are known, or where all but one are required")
        }
        if !dependencies.isEmpty, maximum != nil, minimum > required.count || witnessCount > 0 {
            throw GrammarError("`minProperties` and `maxProperties` along with `dependentRequired` are not supported")
        }
    }

    /// The terms of its entries.
    var terms: [SchemaTerm] { entries.map(\.term) }

    /// The single entries that an object must still get to have all that it needs.
    private func missing(_ state: State) -> Set<Int> {
        var needed = required
        var queue = Array(required.union(state.seen))
        while let entry = queue.popLast() {
            for other in dependencies[entry] ?? [] where needed.insert(other).inserted { queue.append(other) }
        }
        return needed.subtracting(state.seen)
    }

    func canClose(_ state: State) -> Bool {
        missing(state).isEmpty && state.seen.count >= minimum && state.witnessed.count == witnessCount
    }

    /// Whether an object can be completed from here with entries that match something.
    func isViable(_ state: State, _ isProductive: [Bool]) -> Bool {
        let missing = missing(state)
        guard missing.allSatisfy({ isProductive[$0] }) else { return false }
        let room = maximum.map { $0 - state.count - missing.count } ?? .max
        guard room >= 0 else { return false }
        let others = entries.indices.filter {
            isProductive[$0] && !state.seen.contains($0) && !missing.contains($0)
                && allowsDependencies(of: $0, isProductive)
        }
        guard state.seen.count + missing.count + min(room, others.count) >= minimum else { return false }
        let witnessed = missing.reduce(into: state.witnessed) { $0.formUnion(entries[$1].witnesses) }
        guard witnessCount - witnessed.count <= room else { return false }
        // An entry seen is no less a witness when it may come again.
        let more = entries.indices.filter { isProductive[$0] && !(entries[$0].isSingle && state.seen.contains($0)) }
        return more.reduce(into: witnessed) { $0.formUnion(entries[$1].witnesses) }.count == witnessCount
    }

    private func allowsDependencies(of entry: Int, _ isProductive: [Bool]) -> Bool {
        guard !dependencies.isEmpty else { return true }
        return missing(State(seen: [entry])).allSatisfy { isProductive[$0] }
    }

    /// Whether nothing but required members decides what an object can still become.
    private var isPlain: Bool { dependencies.isEmpty && maximum == nil && minimum == 0 && witnessCount == 0 }

    /// The entries that may come next, and where they lead.
    func moves(_ state: State, _ isProductive: [Bool]) -> [(entry: Int, target: State)] {
        entries.indices.compactMap { index in
            let entry = entries[index]
            guard isProductive[index], !(entry.isSingle && state.seen.contains(index)) else { return nil }
            var target = state
            if entry.isSingle || minimum > 0 { target.seen.insert(index) }
            if maximum != nil { target.count += 1 }
            target.witnessed.formUnion(entry.witnesses)
            return isPlain || isViable(target, isProductive) ? (index, target) : nil
        }
    }
}
