/// A set of JSON values, by kind: what a schema becomes.
struct ValueSet: Sendable {
    /// `null`, `true` and `false`.
    struct Words: OptionSet, Hashable, Sendable {
        let rawValue: UInt8
        static let null = Words(rawValue: 1)
        static let `true` = Words(rawValue: 2)
        static let `false` = Words(rawValue: 4)
        static let all: Words = [.null, .true, .false]
    }

    /// A set of numbers.
    enum Numbers: Hashable, Sendable {
        /// Every number.
        case all
        /// The numbers of these plain decimal texts.
        case some(RegularLanguage)
    }

    /// A set of strings: those of a language that are of some length.
    struct Strings: Hashable, Sendable {
        var language: RegularLanguage
        var minimum = 0
        var maximum: Int?

        static let all = Strings(language: .all)
        static let none = Strings(language: .none)

        var isEmpty: Bool { language.isEmpty || minimum > maximum ?? .max }

        /// All of it as one language.
        func folded(_ effort: Effort) throws(GrammarError) -> RegularLanguage {
            if isEmpty { return .none }
            if minimum == 0, maximum == nil { return language }
            let lengths = try RegularLanguage(minimumLength: minimum, maximumLength: maximum, effort)
            return try language.intersection(lengths, effort)
        }
    }

    /// The most shapes of arrays, or of objects, that a schema may lead to.
    static let maximumShapes = 256

    var words: Words = []
    var numbers = Numbers.some(.none)
    var strings = Strings.none
    /// The union of these.
    var arrays: [ArrayShape] = []
    var objects: [ObjectShape] = []

    static let none = ValueSet()
    static let all = ValueSet(words: .all, numbers: .all, strings: .all, arrays: [.all], objects: [.all])

    /// What is in both.
    func intersection(_ other: ValueSet, _ effort: Effort) throws(GrammarError) -> ValueSet {
        var result = ValueSet(words: words.intersection(other.words))
        switch (numbers, other.numbers) {
        case (.all, let some), (let some, .all): result.numbers = some
        case (.some(let left), .some(let right)): result.numbers = .some(try left.intersection(right, effort))
        }
        result.strings = Strings(
            language: try strings.language.intersection(other.strings.language, effort),
            minimum: max(strings.minimum, other.strings.minimum),
            maximum: strings.maximum.map { min($0, other.strings.maximum ?? $0) } ?? other.strings.maximum)
        result.arrays = try Self.products(arrays, other.arrays, effort) { $0.intersection($1) }
        result.objects = try Self.products(objects, other.objects, effort) { $0.intersection($1) }
        return result
    }

    /// What is in either.
    func union(_ other: ValueSet, _ effort: Effort) throws(GrammarError) -> ValueSet {
        var result = ValueSet(words: words.union(other.words))
        switch (numbers, other.numbers) {
        case (.all, _), (_, .all): result.numbers = .all
        case (.some(let left), .some(let right)): result.numbers = .some(try left.union(right, effort))
        }
        if strings.isEmpty || strings == other.strings {
            result.strings = other.strings
        } else if other.strings.isEmpty || strings == .all {
            result.strings = strings
        } else if other.strings == .all {
            result.strings = .all
        } else {
            result.strings = Strings(language: try strings.folded(effort).union(other.strings.folded(effort), effort))
        }
        result.arrays = try Self.merged(arrays + other.arrays)
        result.objects = try Self.merged(objects + other.objects)
        return result
    }

    /// What is not in it.
    func complement(_ languages: NumberLanguages, _ effort: Effort) throws(GrammarError) -> ValueSet {
        var result = ValueSet(words: Words.all.subtracting(words))
        switch numbers {
        case .all: result.numbers = .some(.none)
        case .some(let language):
            result.numbers = language.isEmpty ? .all : .some(try languages.all.subtracting(language, effort))
        }
        if strings == .all {
            result.strings = .none
        } else {
            result.strings = strings.isEmpty ? .all : Strings(language: try strings.folded(effort).complement(effort))
        }
        result.arrays = [.all]
        for shape in arrays {
            let others = try shape.complement()
            result.arrays = try Self.products(result.arrays, others, effort) { $0.intersection($1) }
        }
        result.objects = [.all]
        for shape in objects {
            let others = try shape.complement(effort)
            result.objects = try Self.products(result.objects, others, effort) { $0.intersection($1) }
        }
        return result
    }

    /// The shapes that come of one of each.
    static func products<Shape: SchemaShape>(
        _ left: [Shape], _ right: [Shape], _ effort: Effort, _ combine: (Shape, Shape) -> Shape
    ) throws(GrammarError) -> [Shape] {
        if left == [.all] { return right }
        if right == [.all] { return left }
        guard left.count * right.count <= 16 * maximumShapes else { throw tooManyShapes }
        var shapes: [Shape] = []
        for shape in left {
            for other in right {
                try effort.spend(400 + 40 * (shape.size + other.size))
                let combined = shape == other ? shape : combine(shape, other)
                if !combined.isPlainlyEmpty { shapes.append(combined) }
            }
        }
        return try merged(shapes)
    }

    /// The shapes without repeats; the one that takes all stands for them all.
    static func merged<Shape: SchemaShape>(_ shapes: [Shape]) throws(GrammarError) -> [Shape] {
        if shapes.contains(.all) { return [.all] }
        var seen: Set<Shape> = []
        let distinct = shapes.filter { seen.insert($0).inserted }
        guard distinct.count <= maximumShapes else { throw tooManyShapes }
        return distinct
    }

    private static var tooManyShapes: GrammarError {
        GrammarError("the schema combines too many alternatives; at most \(maximumShapes) of one value are supported")
    }
}

/// One conjunction of what arrays, or objects, must be like.
protocol SchemaShape: Hashable, Sendable {
    /// No conditions.
    static var all: Self { get }
    /// How many conditions it has.
    var size: Int { get }
    /// Whether it can be seen at once that nothing is like it.
    var isPlainlyEmpty: Bool { get }
}
