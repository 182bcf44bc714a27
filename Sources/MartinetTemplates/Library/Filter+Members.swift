extension Renderer {
    /// Filters over the members of a value.
    func applyToMembers(_ filter: Filter, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let name = filter.rawValue
        switch filter {
        // Jinja2 takes whatever is false for empty here, `none` too.
        case .map: return .iterator(Iterator(value.isTrue ? try map(members(of: value), arguments) : []))
        case .select, .reject, .selectattr, .rejectattr:
            guard value.isTrue else { return .iterator(Iterator([])) }
            return .iterator(Iterator(try select(filter, value, arguments)))
        case .reverse:
            try arguments.checkNone(name)
            if case .string(let text) = value { return .string(Text(text.scalars.reversed())) }
            return .iterator(Iterator(try members(of: value).reversed(), kind: "reversed"))
        case .sort:
            let bound = try arguments.bound(name, "reverse", "case_sensitive", "attribute")
            let keyed = try keyed(members(of: value), bound[2], bound[1]?.isTrue ?? false)
            return .list(try sorted(keyed, descending: bound[0]?.isTrue ?? false).map(\.item))
        case .dictsort:
            let bound = try arguments.bound(name, "case_sensitive", "by", "reverse")
            guard case .dict(let dict) = value else { throw .runtime("dictsort takes a mapping") }
            let by = bound[1] == nil ? Text("key") : try string(bound[1], name)
            guard by == "key" || by == "value" else { throw .runtime("dictsort sorts by 'key' or 'value'") }
            let fold = !(bound[0]?.isTrue ?? false)
            var keyed: [(key: Value, item: Value)] = []
            for position in dict.keys.indices {
                let key = by == "key" ? dict.keys[position] : dict.values[position]
                keyed.append((fold ? key.caseFolded : key, .tuple([dict.keys[position], dict.values[position]])))
            }
            return .list(try sorted(keyed, descending: bound[2]?.isTrue ?? false).map(\.item))
        case .unique:
            let bound = try arguments.bound(name, "case_sensitive", "attribute")
            var seen: Set<DictKey> = []
            var items: [Value] = []
            for (key, item) in try keyed(members(of: value), bound[1], bound[0]?.isTrue ?? false) {
                try checkKey(key)
                if seen.insert(DictKey(key)).inserted { items.append(item) }
            }
            return .iterator(Iterator(items))
        case .groupby: return try group(members(of: value), arguments)
        default: return .iterator(Iterator(try cut(filter, value, arguments)))
        }
    }

    private func map(_ items: [Value], _ arguments: CallArguments) throws(TemplateError) -> [Value] {
        var results: [Value] = []
        results.reserveCapacity(items.count)
        if arguments.positional.isEmpty {
            let bound = try arguments.bound("map", "attribute", "default")
            guard let attribute = bound[0] else { throw .runtime("map takes a filter's name or an attribute") }
            for item in items {
                results.append(try path(attribute, in: item, default: bound[1]))
            }
            return results
        }
        let name = try string(arguments.positional[0], "map")
        let rest = CallArguments(positional: Array(arguments.positional.dropFirst()), keywords: arguments.keywords)
        for item in items { results.append(try apply(named: name, item, rest)) }
        return results
    }

    private func select(_ filter: Filter, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> [Value] {
        var rest = arguments
        var attribute: Value?
        if filter == .selectattr || filter == .rejectattr {
            guard !rest.positional.isEmpty else { throw .runtime("\(filter.rawValue) takes an attribute") }
            attribute = rest.positional.removeFirst()
        }
        let name = rest.positional.isEmpty ? nil : try string(rest.positional.removeFirst(), filter.rawValue)
        let wanted = filter == .select || filter == .selectattr
        var test: Test?
        if let name {
            guard let known = Test(name: name) else { throw .runtime("there is no test '\(name.string)'") }
            test = known
        }
        var results: [Value] = []
        for item in try members(of: value) {
            try pay(steps: 1)
            let subject = try self.subject(attribute, item)
            let holds = if let test { try check(test, subject, rest) } else { subject.isTrue }
            if holds == wanted { results.append(item) }
        }
        return results
    }

    /// What a filter looks at: an attribute of a member where one is given, else the member.
    func subject(_ attribute: Value?, _ item: Value) throws(TemplateError) -> Value {
        guard let attribute, !attribute.isNone else { return item }
        return try path(attribute, in: item)
    }

    /// The value that a dotted path such as `function.name` or an index leads to.
    ///
    /// A default takes the place of whatever on the way is undefined.
    func path(_ path: Value, in item: Value, default fallback: Value? = nil) throws(TemplateError) -> Value {
        let fallback = fallback.flatMap { $0.isNone ? nil : $0 }
        guard case .string(let text) = path else {
            let value = try self.item(path, of: item)
            return value.isUndefined ? fallback ?? value : value
        }
        var value = item
        for part in text.bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            let part = Text(valid: part)
            try pay(steps: 1)
            if !part.isEmpty, part.bytes.allSatisfy({ (0x30...0x39).contains($0) }), let index = Int(part.string) {
                value = try self.item(.int(index), of: value)
            } else {
                value = try self.item(.string(part), of: value)
            }
            if value.isUndefined, let fallback { value = fallback }
        }
        return value
    }

    private func keyed(
        _ items: [Value], _ attribute: Value?, _ isCaseSensitive: Bool
    ) throws(TemplateError) -> [(key: Value, item: Value)] {
        var keyed: [(key: Value, item: Value)] = []
        keyed.reserveCapacity(items.count)
        for item in items {
            var key = item
            if let attribute, !attribute.isNone {
                // "a,b" sorts by several attributes.
                if case .string(let text) = attribute, text.bytes.contains(UInt8(ascii: ",")) {
                    var parts: [Value] = []
                    for part in text.bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                        let part = try path(.string(Text(valid: part)), in: item)
                        parts.append(isCaseSensitive ? part : part.caseFolded)
                    }
                    key = .list(parts)
                } else {
                    key = try path(attribute, in: item)
                }
            }
            keyed.append((isCaseSensitive ? key : key.caseFolded, item))
        }
        return keyed
    }

    /// A stable merge sort: the standard library's cannot be left by a typed error.
    private func sorted(
        _ items: [(key: Value, item: Value)], descending: Bool
    ) throws(TemplateError) -> [(key: Value, item: Value)] {
        guard items.count > 1 else { return items }
        let left = try sorted(Array(items[..<(items.count / 2)]), descending: descending)
        let right = try sorted(Array(items[(items.count / 2)...]), descending: descending)
        var merged: [(key: Value, item: Value)] = []
        merged.reserveCapacity(items.count)
        var (l, r) = (0, 0)
        while l < left.count, r < right.count {
            try pay(steps: 1)
            let takesRight =
                try descending
                ? order(left[l].key, right[r].key) ?? 0 < 0 : order(right[r].key, left[l].key) ?? 0 < 0
            if takesRight {
                merged.append(right[r])
                r += 1
            } else {
                merged.append(left[l])
                l += 1
            }
        }
        return merged + left[l...] + right[r...]
    }

    private func group(_ items: [Value], _ arguments: CallArguments) throws(TemplateError) -> Value {
        let bound = try arguments.bound("groupby", "attribute", "default", "case_sensitive")
        guard let attribute = bound[0] else { throw .runtime("groupby takes an attribute") }
        let isCaseSensitive = bound[2]?.isTrue ?? false
        var keyed: [(key: Value, item: Value)] = []
        var originals: [Value] = []
        for (position, item) in items.enumerated() {
            let key = try path(attribute, in: item, default: bound[1])
            originals.append(key)
            keyed.append((isCaseSensitive ? key : key.caseFolded, .tuple([.int(position), item])))
        }
        var groups: [Value] = []
        var members: [Value] = []
        var last: (key: Value, original: Value)?
        for (key, entry) in try sorted(keyed, descending: false) {
            guard case .tuple(let pair) = entry, case .int(let position) = pair.items[0] else { continue }
            if let current = last, try !equal(current.key, key) {
                groups.append(.tuple([current.original, .list(members)]))
                members = []
                last = nil
            }
            if last == nil { last = (key, originals[position]) }
            members.append(pair.items[1])
        }
        if let last { groups.append(.tuple([last.original, .list(members)])) }
        return .list(groups)
    }

    /// `batch` and `slice`.
    private func cut(_ filter: Filter, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> [Value] {
        let bound = try arguments.bound(filter.rawValue, filter == .batch ? "linecount" : "slices", "fill_with")
        let count = try integer(bound[0], filter.rawValue)
        let items = try members(of: value)
        let fill = bound[1].flatMap { $0.isNone ? nil : $0 }
        guard count > 0 else { throw .runtime("\(filter.rawValue) takes a positive number") }
        try reserve(members: count)
        var results: [Value] = []
        if filter == .batch {
            for start in stride(from: 0, to: items.count, by: count) {
                var batch = Array(items[start..<min(items.count, start + count)])
                if let fill { while batch.count < count { batch.append(fill) } }
                results.append(.list(batch))
            }
            return results
        }
        let (size, extra) = items.count.quotientAndRemainder(dividingBy: count)
        var start = 0
        for position in 0..<count {
            let end = start + size + (position < extra ? 1 : 0)
            var slice = Array(items[start..<end])
            if let fill, position >= extra { slice.append(fill) }
            results.append(.list(slice))
            start = end
        }
        return results
    }
}

extension Value {
    /// For sorting without regard to case, as Jinja2's filters do.
    var caseFolded: Value {
        if case .string(let text) = self { .string(text.lowercased()) } else { self }
    }
}
