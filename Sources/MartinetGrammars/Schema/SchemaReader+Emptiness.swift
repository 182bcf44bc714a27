extension SchemaReader {
    private static let depth = 3

    /// Whether it is plain that no array is of these shapes. `false` says nothing.
    func isEmpty(arrays: [ArrayShape], depth: Int = depth) -> Bool {
        arrays.allSatisfy { shape in
            shape.isPlainlyEmpty
                || (0..<min(shape.minimum, shape.prefix.count + 1)).contains {
                    isEmpty(shape.term(at: $0), depth: depth)
                }
        }
    }

    /// Whether it is plain that no object is of these shapes. `false` says nothing.
    func isEmpty(objects: [ObjectShape], depth: Int = depth) -> Bool {
        objects.allSatisfy { shape in
            shape.isPlainlyEmpty || shape.required.contains { isEmpty(shape.term(of: $0), depth: depth) }
        }
    }

    private func isEmpty(_ term: SchemaTerm, depth: Int) -> Bool {
        if term.isNever { return true }
        // What cannot be read now is being read, or is refused when it is.
        guard depth > 0, !term.literals.isEmpty, let set = try? values(term) else { return false }
        return set.words.isEmpty && set.numbers == .some(.none) && set.strings.isEmpty
            && isEmpty(arrays: set.arrays, depth: depth - 1) && isEmpty(objects: set.objects, depth: depth - 1)
    }

    /// The values that meet a term, each as a term of its own.
    ///
    /// - Throws: ``GrammarError`` when they are more than the limit, or not known to be few.
    func constants(of term: SchemaTerm, _ limit: Int) throws(GrammarError) -> [SchemaTerm] {
        let set = try values(term)
        let canonical = try RegularLanguage(whole: #"-?([1-9][0-9]*|0(?=\.))(\.[0-9]*[1-9])?|0"#, effort)
        guard isEmpty(arrays: set.arrays), isEmpty(objects: set.objects), case .some(let language) = set.numbers,
            let texts = try language.intersection(canonical, effort).words(atMost: limit),
            let strings = try set.strings.folded(effort).words(atMost: limit)
        else {
            throw GrammarError(
                "`uniqueItems` is supported for items of at most \(limit) scalar values, such as an `enum`")
        }
        var values: [SchemaValue] = strings.map { .string(MemberName($0)) }
        values += texts.compactMap { DecimalNumber($0) }.map { .number($0) }
        if set.words.contains(.null) { values.append(.null) }
        if set.words.contains(.true) { values.append(.boolean(true)) }
        if set.words.contains(.false) { values.append(.boolean(false)) }
        let place = term.literals.first.map { document.schemas[$0.schema].place } ?? ""
        return values.map { SchemaTerm(document.constant($0, place: place)) }
    }
}
