/// Filters that templates can use.
enum Filter: String, Sendable, CaseIterable {
    case abs, batch, capitalize, center, count, d, `default`, dictsort, e, escape, first, float, forceescape, format
    case groupby, indent, int, items, join, last, length, list, lower, map, max, min, reject, rejectattr, replace
    case reverse, round, safe, select, selectattr, slice, sort, string, striptags, sum, title, tojson, trim, truncate
    case unique, upper, urlencode, wordcount, attr

    init?(name: Text) { self.init(rawValue: name.string) }
}

extension Renderer {
    /// Applies a filter of the source.
    @inline(never)
    func apply(
        _ filter: Filter?, _ name: Text, _ base: Expression, _ arguments: Expression.Arguments
    ) throws(TemplateError) -> Value {
        let value = try evaluate(base)
        guard let filter else { throw .runtime("there is no filter '\(name.string)'") }
        return try made(apply(filter, value, evaluate(arguments)))
    }

    /// Applies a filter by a name that a template computed, as for `map('upper')`.
    func apply(named name: Text, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        guard let filter = Filter(name: name) else { throw .runtime("there is no filter '\(name.string)'") }
        try enter()
        defer { leave() }
        return try made(apply(filter, value, arguments))
    }

    private func apply(_ filter: Filter, _ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        let name = filter.rawValue
        switch filter {
        case .default, .d:
            let bound = try arguments.bound(name, "default_value", "boolean")
            let isReplaced = value.isUndefined || (bound[1]?.isTrue ?? false) && !value.isTrue
            return isReplaced ? bound[0] ?? .string(Text()) : value
        case .tojson: return try json(value, arguments)
        case .length, .count:
            try arguments.checkNone(name)
            return .int(try length(of: value))
        case .first:
            if case .iterator(let iterator) = value { return iterator.next() ?? .undefined(.nothing) }
            return try members(of: value).first ?? .undefined(.nothing)
        case .last:
            if case .iterator = value { throw .runtime("an iterator has no last item: make a list of it first") }
            return try members(of: value).last ?? .undefined(.nothing)
        case .list:
            try arguments.checkNone(name)
            return .list(try members(of: value))
        case .join:
            let bound = try arguments.bound(name, "d", "attribute")
            var items = try members(of: value)
            if let attribute = bound[1], !attribute.isNone {
                for position in items.indices { items[position] = try path(attribute, in: items[position]) }
            }
            return .string(try join(items, separator: text(bound[0] ?? .string(Text()))))
        case .items:
            guard !value.isUndefined else { return .iterator(Iterator([])) }
            guard case .dict(let dict) = value else { throw .runtime("items takes a mapping") }
            return .iterator(Iterator(dict.pairs))
        case .abs, .int, .float, .round, .sum, .min, .max: return try applyNumeric(filter, value, arguments)
        case .map, .select, .reject, .selectattr, .rejectattr, .sort, .unique, .groupby, .dictsort, .batch, .slice,
            .reverse:
            return try applyToMembers(filter, value, arguments)
        case .attr:
            let attribute = try string(try arguments.bound(name, "name")[0], name)
            guard case .dict = value else {
                return try self.attribute(attribute, Method(rawValue: attribute.string), of: value)
            }
            return .undefined(.attribute(attribute))
        default:
            if case .string = value {} else { try paid(value) }
            return try applyToText(filter, text(value), of: value, arguments)
        }
    }

    func length(of value: Value) throws(TemplateError) -> Int {
        switch value {
        case .string(let text):
            try pay(bytes: text.bytes.count)
            return text.count
        case .list(let items), .tuple(let items): return items.items.count
        case .dict(let dict): return dict.count
        case .range(let range): return range.count
        case .undefined: return 0
        case .loop(let loop):
            _ = try lookAhead(loop, to: .max - 1)
            return loop.items.count
        default: throw .runtime("a value of type \(value.typeName) has no length")
        }
    }

    /// Filters that make text of text.
    private func applyToText(
        _ filter: Filter, _ text: Text, of value: Value, _ arguments: CallArguments
    ) throws(TemplateError) -> Value {
        let name = filter.rawValue
        try pay(bytes: text.bytes.count)
        switch filter {
        case .trim:
            return .string(text.stripped(try optionalString(try arguments.bound(name, "chars")[0], name)))
        case .replace:
            let bound = try arguments.bound(name, "old", "new", "count")
            guard let old = bound[0], let new = bound[1] else { throw .runtime("replace takes two strings") }
            let most = try integer(bound[2].flatMap { $0.isNone ? nil : $0 }, name, default: -1)
            return .string(try replace(text, self.text(old), self.text(new), most: most))
        case .indent:
            guard case .string = value else { throw .runtime("indent takes a string") }
            let bound = try arguments.bound(name, "width", "first", "blank")
            return .string(try indent(text, bound[0] ?? .int(4), bound[1]?.isTrue ?? false, bound[2]?.isTrue ?? false))
        case .center:
            return .string(
                try pad(text, integer(arguments.bound(name, "width")[0], name, default: 80), Text(" "), .center))
        case .format:
            guard arguments.positional.isEmpty || arguments.keywords.isEmpty else {
                throw .runtime("format takes positional or keyword arguments, not both")
            }
            if arguments.keywords.isEmpty { return .string(try percentFormat(text, .tuple(arguments.positional))) }
            var builder = Dict.Builder()
            for (name, value) in arguments.keywords { builder.set(.string(name), value) }
            return .string(try percentFormat(text, .dict(builder.finish())))
        case .truncate: return .string(try truncate(text, arguments))
        default:
            try arguments.checkNone(name)
            switch filter {
            case .upper: return .string(text.uppercased())
            case .lower: return .string(text.lowercased())
            case .capitalize: return .string(text.capitalized())
            case .title: return .string(text.wordsCapitalized())
            case .escape, .e, .forceescape, .safe:
                var markup = filter == .safe || (text.isMarkup && filter != .forceescape) ? text : text.escapedForHTML()
                markup.isMarkup = true
                return .string(markup)
            case .urlencode: return .string(text.encodedForURL())
            case .striptags: return .string(text.withoutTags())
            case .wordcount: return .int(text.wordCount)
            default: return .string(text)
            }
        }
    }

    private func indent(
        _ text: Text, _ width: Value, _ first: Bool, _ blank: Bool
    ) throws(TemplateError) -> Text {
        let prefix: Text
        if case .string(let given) = width {
            prefix = given
        } else {
            let count = max(0, try integer(width, "indent"))
            guard count <= 10_000 else { throw .runtime("indent: the width is too large") }
            prefix = Text(valid: Array(repeating: UInt8(ascii: " "), count: count))
        }
        var lines = text.bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        let (size, overflow) = lines.count.multipliedReportingOverflow(by: prefix.bytes.count)
        try reserve(bytes: overflow ? .max / 4 : min(size, .max / 4 - text.bytes.count) + text.bytes.count)
        // A newline at the end begins no line of its own, unless blank lines are indented too.
        if lines.count > 1, lines.last?.isEmpty ?? false, !blank { lines[lines.count - 1] = [] }
        var result: [UInt8] = first ? prefix.bytes : []
        for (position, line) in lines.enumerated() {
            if position > 0 {
                result.append(0x0A)
                if blank || !line.isEmpty { result.append(contentsOf: prefix.bytes) }
            }
            result.append(contentsOf: line)
        }
        return Text(valid: result)
    }

    private func truncate(_ text: Text, _ arguments: CallArguments) throws(TemplateError) -> Text {
        let bound = try arguments.bound("truncate", "length", "killwords", "end", "leeway")
        let length = try integer(bound[0], "truncate", default: 255)
        let end = bound[2] == nil ? Text("...") : try string(bound[2], "truncate")
        let leeway = try integer(bound[3].flatMap { $0.isNone ? nil : $0 }, "truncate", default: 5)
        let count = end.count
        guard length >= count else { throw .runtime("truncate: the length must be at least \(count)") }
        guard leeway >= 0 else { throw .runtime("truncate: the leeway must not be negative") }
        guard text.count - leeway > length else { return text }
        var kept = Text(text.scalars.prefix(length - count))
        if !(bound[1]?.isTrue ?? false), let space = kept.bytes.lastIndex(of: UInt8(ascii: " ")) {
            kept = Text(valid: kept.bytes[..<space])
        }
        kept.append(end)
        return kept
    }
}
