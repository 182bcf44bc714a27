extension SchemaReading {
    /// What the keywords of a schema, and of those that always apply with it, have said something about.
    struct Evaluated {
        /// The names of members.
        var names = RegularLanguage.none
        /// How many items from the first on; `nil` for all.
        var items: Int? = 0
    }

    /// What `unevaluatedProperties` and `unevaluatedItems` leave alone.
    ///
    /// - Throws: ``GrammarError`` where that depends on the value.
    func evaluated() throws(GrammarError) -> Evaluated {
        var visited: Set<Int> = []
        return try evaluated(isOutermost: true, &visited)
    }

    private func evaluated(isOutermost: Bool, _ visited: inout Set<Int>) throws(GrammarError) -> Evaluated {
        var result = Evaluated()
        guard visited.insert(schema).inserted else { return result }
        for keyword in ["anyOf", "oneOf", "if", "dependentSchemas", "contains", "$dynamicRef"]
        where value(keyword) != nil {
            throw GrammarError(
                "`unevaluatedItems` and `unevaluatedProperties` are not supported along with `\(keyword)`",
                at: place(keyword))
        }
        try effort.spend(1_000)
        let properties = try table("properties").map(\.key.text)
        result.names = try RegularLanguage(words: properties, effort)
        for (pattern, _) in try table("patternProperties") {
            let path = "patternProperties/\(SchemaDocument.escaped(pattern.text))"
            result.names = try result.names.union(language(searching: pattern.text, path), effort)
        }
        result.items = try list("prefixItems")?.count ?? 0
        if value("additionalProperties") != nil || !isOutermost && value("unevaluatedProperties") != nil {
            result.names = .all
        }
        if value("items") != nil || !isOutermost && value("unevaluatedItems") != nil { result.items = nil }
        var others = try (list("allOf") ?? []).indices.map { "allOf/\($0)" }.map { path throws(GrammarError) in
            try child(path)
        }
        if let reference = try text("$ref") { others.append(try reader.document.target(of: reference, from: schema)) }
        for other in others {
            guard case .keywords(let keywords) = reader.document.schemas[other].content else { continue }
            let reading = SchemaReading(schema: other, keywords: keywords, reader: reader)
            let more = try reading.evaluated(isOutermost: false, &visited)
            result.names = try result.names.union(more.names, effort)
            result.items = result.items.flatMap { items in more.items.map { max(items, $0) } }
        }
        return result
    }
}
