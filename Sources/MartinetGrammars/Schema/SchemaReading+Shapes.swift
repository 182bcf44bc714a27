extension SchemaReading {
    /// What the keywords for arrays say.
    func arrayShape() throws(GrammarError) -> ArrayShape {
        var shape = ArrayShape()
        for index in (try list("prefixItems") ?? []).indices { shape.prefix.append(try term("prefixItems/\(index)")) }
        if value("items") != nil { shape.rest = try term("items") }
        if value("unevaluatedItems") != nil, value("items") == nil {
            let others = try evaluated()
            let term = try term("unevaluatedItems")
            if let count = others.items {
                while shape.prefix.count < count { shape.prefix.append(.always) }
                shape.rest = term
            }
        }
        shape.minimum = try count("minItems") ?? 0
        shape.maximum = try count("maxItems")
        shape.isUnique = try flag("uniqueItems")
        let (least, most) = (try count("minContains") ?? 1, try count("maxContains"))
        if value("contains") != nil, least > 0 || most != nil {
            let term = try term("contains")
            if term.isNever {
                // Nothing matches: there are always none.
                if least > 0 { shape.maximum = -1 }
            } else {
                shape.tallies = [.init(term: term, minimum: least, maximum: most)]
            }
        }
        return shape
    }

    /// What the keywords for objects say.
    func objectShape() throws(GrammarError) -> ObjectShape {
        var shape = ObjectShape()
        var named = RegularLanguage.none
        let properties = try table("properties").map(\.key)
        for name in properties { shape.members[name] = try term("properties/\(SchemaDocument.escaped(name.text))") }
        for (pattern, _) in try table("patternProperties") {
            let path = "patternProperties/\(SchemaDocument.escaped(pattern.text))"
            let names = try language(searching: pattern.text, path)
            shape.rules.insert(.init(names: names, term: try term(path)))
            named = try named.union(names, effort)
        }
        if value("additionalProperties") != nil {
            named = try named.union(RegularLanguage(words: properties.map(\.text), effort), effort)
            shape.rules.insert(.init(names: try named.complement(effort), term: try term("additionalProperties")))
        } else if value("unevaluatedProperties") != nil {
            let names = try evaluated().names
            shape.rules.insert(.init(names: try names.complement(effort), term: try term("unevaluatedProperties")))
        }
        if value("propertyNames") != nil {
            let names = try reader.values(child("propertyNames")).strings.folded(effort)
            shape.rules.insert(.init(names: try names.complement(effort), term: .never))
        }
        if case .object(let members)? = value("properties") { shape.order.append(members.names) }
        if let required = value("required") {
            let names = try names(required, "required")
            shape.required = Set(names)
            shape.order.append(names)
        }
        for (name, others) in try table("dependentRequired") {
            shape.dependencies[name] = Set(try names(others, "dependentRequired"))
        }
        shape.minimum = try count("minProperties") ?? 0
        shape.maximum = try count("maxProperties")
        shape.rules = shape.rules.filter { $0.term != .always && !$0.names.isEmpty }
        return shape
    }
}
