/// What arrays must be like.
struct ArrayShape: SchemaShape {
    /// How many items must meet a term.
    struct Tally: Hashable, Sendable {
        var term: SchemaTerm
        /// Items before this place do not count.
        var start = 0
        var minimum: Int
        var maximum: Int?
    }

    /// The terms of the first items.
    var prefix: [SchemaTerm] = []
    /// The term of the others.
    var rest = SchemaTerm.always
    var minimum = 0
    var maximum: Int?
    var tallies: Set<Tally> = []
    /// Whether no two items may be equal.
    var isUnique = false

    static let all = ArrayShape()

    var isPlainlyEmpty: Bool { minimum > maximum ?? .max }

    var size: Int { prefix.count + tallies.count }

    func term(at index: Int) -> SchemaTerm { index < prefix.count ? prefix[index] : rest }

    func intersection(_ other: ArrayShape) -> ArrayShape {
        var result = self
        result.prefix = (0..<max(prefix.count, other.prefix.count)).map { term(at: $0).and(other.term(at: $0)) }
        result.rest = rest.and(other.rest)
        result.minimum = max(minimum, other.minimum)
        result.maximum = maximum.map { min($0, other.maximum ?? $0) } ?? other.maximum
        result.tallies.formUnion(other.tallies)
        result.isUnique = isUnique || other.isUnique
        return result
    }

    /// Shapes of which an array has one when it has not this.
    func complement() throws(GrammarError) -> [ArrayShape] {
        var shapes: [ArrayShape] = []
        if isUnique { throw GrammarError("the opposite of `uniqueItems` is not supported") }
        if minimum > 0 { shapes.append(ArrayShape(maximum: minimum - 1)) }
        if let maximum { shapes.append(ArrayShape(minimum: maximum + 1)) }
        for (index, term) in prefix.enumerated() {
            for opposite in term.opposites {
                let before = [SchemaTerm](repeating: .always, count: index)
                shapes.append(ArrayShape(prefix: before + [opposite], minimum: index + 1))
            }
        }
        if rest.isNever {
            shapes.append(ArrayShape(minimum: prefix.count + 1))
        } else {
            for opposite in rest.opposites {
                shapes.append(ArrayShape(tallies: [Tally(term: opposite, start: prefix.count, minimum: 1)]))
            }
        }
        for tally in tallies {
            if tally.minimum > 0 {
                var less = tally
                less.minimum = 0
                less.maximum = tally.minimum - 1
                shapes.append(ArrayShape(tallies: [less]))
            }
            if let maximum = tally.maximum {
                var more = tally
                more.minimum = maximum + 1
                more.maximum = nil
                shapes.append(ArrayShape(tallies: [more]))
            }
        }
        return shapes
    }
}
