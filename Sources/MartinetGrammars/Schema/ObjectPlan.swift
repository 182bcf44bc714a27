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
        /// Entries seen: all single ones, in order only those that others depend on or that depend on others; and kinds
        /// of names where a minimum counts them.
        var seen: Set<Int> = []
        /// In order: the single entry that may come next. Those before have come, or have been left out.
        var next = 0
        /// Different entries, where a minimum counts them, up to that.
        var distinct = 0
        /// Members, where a maximum counts them.
        var count = 0
        var witnessed: Set<Int> = []
    }

    private static let maximumNames = 1_000
    private static let maximumClasses = 64

    /// In order, the single ones come first.
    private(set) var entries: [Entry] = []
    /// Whether members come in the order of the entries, those of no known name behind the others.
    private let isOrdered: Bool
    /// Where members come in order, the number of single entries; otherwise 0.
    private var singleCount = 0
    private var required: Set<Int> = []
    private var dependencies: [Int: Set<Int>] = [:]
    /// The entries of dependencies.
    private var dependents: Set<Int> = []
    private let minimum: Int
    private let maximum: Int?
    private let witnessCount: Int

    init(_ shape: ObjectShape, isOrdered: Bool, _ effort: Effort) throws(GrammarError) {
        self.isOrdered = isOrdered
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
        var kinds: [Entry] = []
        for entry in classes {
            if let words = entry.names.words(atMost: 64) {
                names.formUnion(words.map { MemberName($0) })
            } else {
                kinds.append(entry)
            }
        }
        guard names.count <= Self.maximumNames else {
            throw GrammarError("an object has more than \(Self.maximumNames) named members")
        }
        var numbers: [MemberName: Int] = [:]
        if !isOrdered { entries = kinds }
        let order = isOrdered ? shape.order.names.filter(names.contains) : []
        for name in order + names.subtracting(order).sorted() {
            numbers[name] = entries.count
            let witnesses = existing.indices.filter { existing[$0].contains(name.text) }
            entries.append(
                Entry(
                    names: try RegularLanguage(words: [name.text], effort), isSingle: true, term: shape.term(of: name),
                    witnesses: Set(witnesses)))
        }
        if isOrdered {
            singleCount = entries.count
            entries += kinds
        }
        required = Set(shape.required.compactMap { numbers[$0] })
        for (name, others) in shape.dependencies {
            if let number = numbers[name] { dependencies[number] = Set(others.compactMap { numbers[$0] }) }
        }
        dependents = dependencies.reduce(into: []) { $0.formUnion($1.value.union([$1.key])) }
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

    /// Whether an entry cannot come any more.
    private func isGone(_ entry: Int, _ state: State) -> Bool {
        entries[entry].isSingle && (entry < state.next || state.seen.contains(entry))
    }

    /// The single entries that an object must still get to have all that it needs.
    private func missing(_ state: State) -> Set<Int> {
        var needed = required
        var queue = Array(required.union(state.seen))
        while let entry = queue.popLast() {
            for other in dependencies[entry] ?? [] where needed.insert(other).inserted { queue.append(other) }
        }
        // In order, no required one is left out.
        return needed.filter { !state.seen.contains($0) && !(required.contains($0) && $0 < state.next) }
    }

    func canClose(_ state: State) -> Bool {
        (!isOrdered || state.next == singleCount) && missing(state).isEmpty && state.distinct >= minimum
            && state.witnessed.count == witnessCount
    }

    /// Whether an object can be completed from here with entries that match something.
    func isViable(_ state: State, _ isProductive: [Bool]) -> Bool {
        let missing = missing(state)
        guard missing.allSatisfy({ isProductive[$0] && !isGone($0, state) }) else { return false }
        let room = maximum.map { $0 - state.count - missing.count } ?? .max
        guard room >= 0 else { return false }
        let others = entries.indices.filter {
            isProductive[$0] && !isGone($0, state) && !state.seen.contains($0) && !missing.contains($0)
                && allowsDependencies(of: $0, state, isProductive)
        }
        guard state.distinct + missing.count + min(room, others.count) >= minimum else { return false }
        let witnessed = missing.reduce(into: state.witnessed) { $0.formUnion(entries[$1].witnesses) }
        guard witnessCount - witnessed.count <= room else { return false }
        // An entry seen is no less a witness when it may come again.
        let more = entries.indices.filter { isProductive[$0] && !isGone($0, state) }
        return more.reduce(into: witnessed) { $0.formUnion(entries[$1].witnesses) }.count == witnessCount
    }

    private func allowsDependencies(of entry: Int, _ state: State, _ isProductive: [Bool]) -> Bool {
        guard !dependencies.isEmpty else { return true }
        var later = state
        later.seen.insert(entry)
        return missing(later).allSatisfy { isProductive[$0] && !isGone($0, state) }
    }

    /// Whether nothing but required members decides what an object can still become.
    private var isPlain: Bool { dependencies.isEmpty && maximum == nil && minimum == 0 && witnessCount == 0 }

    /// Before the first member.
    func start(_ isProductive: [Bool]) -> State { passing(State(), isProductive) }

    /// The entries that may come next, and where they lead.
    func moves(_ state: State, _ isProductive: [Bool]) -> [(entry: Int, target: State)] {
        // In order it is one that is named, or, behind all of them, any other.
        let next = isOrdered ? state.next..<min(state.next + 1, singleCount) : 0..<entries.count
        return (next.isEmpty ? singleCount..<entries.count : next).compactMap { index in
            guard isProductive[index], !isGone(index, state) else { return nil }
            let target = adding(index, to: state, isProductive)
            return isPlain || isViable(target, isProductive) ? (index, target) : nil
        }
    }

    /// The state without the one entry that may come next in order; `nil` where it may not be left out.
    func skipping(_ state: State, _ isProductive: [Bool]) -> State? {
        guard isOrdered, state.next < singleCount, !required.contains(state.next) else { return nil }
        var target = state
        target.next += 1
        target = passing(target, isProductive)
        return isPlain || isViable(target, isProductive) ? target : nil
    }

    private func adding(_ entry: Int, to state: State, _ isProductive: [Bool]) -> State {
        var target = state
        let isNew = isOrdered && entries[entry].isSingle || !state.seen.contains(entry)
        if minimum > 0, isNew { target.distinct = min(state.distinct + 1, minimum) }
        // In order, what has been seen matters for others alone.
        if entries[entry].isSingle ? !isOrdered || dependents.contains(entry) : minimum > 0 {
            target.seen.insert(entry)
        }
        if maximum != nil { target.count += 1 }
        target.witnessed.formUnion(entries[entry].witnesses)
        guard isOrdered, entries[entry].isSingle else { return target }
        target.next = entry + 1
        return passing(target, isProductive)
    }

    /// The same state at the next entry in order that matches something.
    private func passing(_ state: State, _ isProductive: [Bool]) -> State {
        var state = state
        while isOrdered, state.next < singleCount, !isProductive[state.next] { state.next += 1 }
        return state
    }
}
