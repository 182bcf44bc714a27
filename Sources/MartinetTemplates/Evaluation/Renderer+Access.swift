extension Renderer {
    /// `value.name`: methods of the type come before keys, as in Python.
    func attribute(_ name: Text, _ method: Method?, of value: Value) throws(TemplateError) -> Value {
        if let method, method.exists(on: value) {
            if method.changesReceiver { return .undefined(.unsafe(name)) }
            return try made(.function(Function(.method(method, of: value), name: name)))
        }
        switch value {
        case .dict(let dict):
            if let value = dict.member(name) { return value }
            return .undefined(name.hasPrefix(Text("__")) ? .unsafe(name) : .attribute(name))
        case .namespace(let namespace):
            return namespace.attributes.member(name) ?? .undefined(.attribute(name))
        case .loop(let loop): return try attribute(name, of: loop)
        case .undefined(let missing): throw .runtime(missing.message)
        case .function(let function):
            if case .macro = function.kind, name == "name" { return .string(function.name) }
            return .undefined(.attribute(name))
        case .tuple(let items) where items.items.count == 2 && (name == "grouper" || name == "list"):
            // Pairs stand for the named pairs that `groupby` gives.
            return items.items[name == "grouper" ? 0 : 1]
        default: return .undefined(.attribute(name))
        }
    }

    /// `value[index]`: keys come before attributes.
    func item(_ index: Value, of value: Value) throws(TemplateError) -> Value {
        switch (value, index) {
        case (.undefined(let missing), _): throw .runtime(missing.message)
        case (.dict(let dict), .string(let name)):
            if let member = dict.member(name) { return member }
        case (.dict(let dict), _):
            try pay(bytes: index.measure.weight)
            if case .list = index { break }
            if let member = dict.member(index) { return member }
        case (.list(let items), .int), (.list(let items), .bool), (.tuple(let items), .int), (.tuple(let items), .bool):
            if let position = position(index, items.items.count) { return items.items[position] }
        case (.range(let range), .int), (.range(let range), .bool):
            if let position = position(index, range.count) { return range[position] }
        case (.string(let text), .int), (.string(let text), .bool):
            try pay(bytes: text.bytes.count)
            let offsets = text.isASCII ? nil : text.offsets
            guard let position = position(index, (offsets?.count).map { $0 - 1 } ?? text.bytes.count) else { break }
            guard let offsets else { return .string(Text(valid: text.bytes[position..<(position + 1)])) }
            return .string(Text(valid: text.bytes[offsets[position]..<offsets[position + 1]]))
        default: break
        }
        guard case .string(let name) = index else {
            return .undefined(.attribute(index.measure.weight < 100 ? index.text : Text("?")))
        }
        return try attribute(name, Method(rawValue: name.string), of: value)
    }

    private func position(_ index: Value, _ count: Int) -> Int? {
        guard case .int(let index)? = index.number else { return nil }
        let position = index < 0 ? index + count : index
        return (0..<count).contains(position) ? position : nil
    }

    /// `value[start:stop:step]` with Python's rules for what is out of range.
    func slice(_ value: Value, _ start: Value, _ stop: Value, _ step: Value) throws(TemplateError) -> Value {
        if case .undefined(let missing) = value { throw .runtime(missing.message) }
        var bounds: [Int?] = []
        for bound in [start, stop, step] {
            switch bound {
            case .none: bounds.append(nil)
            case .int, .bool:
                bounds.append(bound.number.flatMap { if case .int(let value) = $0 { value } else { nil } })
            default: throw .runtime("the bounds of a slice must be integers")
            }
        }
        let step = bounds[2] ?? 1
        guard step != 0 else { throw .runtime("the step of a slice cannot be zero") }
        switch value {
        case .list(let items): return try made(.list(Self.slice(items.items, bounds[0], bounds[1], step)))
        case .tuple(let items): return try made(.tuple(Self.slice(items.items, bounds[0], bounds[1], step)))
        case .range(let range):
            let part = Self.range(range.count, bounds[0], bounds[1], step)
            let (stride, overflow) = range.step.multipliedReportingOverflow(by: step)
            guard part.count > 0 else { return .range(NumberRange(start: 0, step: 1, count: 0)) }
            // A stride too large to write down belongs to one member, which needs none.
            return .range(
                NumberRange(
                    start: range.start + part.start * range.step, step: overflow ? 1 : stride, count: part.count))
        case .string(let text):
            try pay(bytes: text.bytes.count * 2)
            if text.isASCII {
                return try made(Text(valid: Self.slice(text.bytes, bounds[0], bounds[1], step)))
            }
            if step == 1 {
                let offsets = text.offsets
                let range = Self.range(offsets.count - 1, bounds[0], bounds[1], 1)
                guard range.count > 0 else { return .string(Text()) }
                return try made(Text(valid: text.bytes[offsets[range.start]..<offsets[range.start + range.count]]))
            }
            return try made(Text(Self.slice(Array(text.scalars), bounds[0], bounds[1], step)))
        default: throw .runtime("a value of type \(value.typeName) cannot be sliced")
        }
    }

    private static func slice<T>(_ items: [T], _ start: Int?, _ stop: Int?, _ step: Int) -> [T] {
        let range = range(items.count, start, stop, step)
        if step == 1 { return range.count > 0 ? Array(items[range.start..<(range.start + range.count)]) : [] }
        return (0..<range.count).map { items[range.start + $0 * step] }
    }

    /// The first index and the number of indices of a slice of `count` items.
    static func range(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> (start: Int, count: Int) {
        let lowest = step < 0 ? -1 : 0
        let highest = step < 0 ? count - 1 : count
        func clamp(_ bound: Int) -> Int { min(max(bound < 0 ? bound + count : bound, lowest), highest) }
        let first = start.map(clamp) ?? (step < 0 ? highest : lowest)
        let last = stop.map(clamp) ?? (step < 0 ? lowest : highest)
        if step > 0 {
            return (first, last > first ? (last - first - 1) / step + 1 : 0)
        }
        // -Int.min does not exist; a step that large takes one item at most.
        let stride = step == .min ? Int.max : -step
        return (first, first > last ? (first - last - 1) / stride + 1 : 0)
    }

    private func attribute(_ name: Text, of loop: Loop) throws(TemplateError) -> Value {
        func total() throws(TemplateError) -> Int {
            _ = try lookAhead(loop, to: .max - 1)
            return loop.items.count
        }
        switch name.string {
        case "index": return .int(loop.index + 1)
        case "index0": return .int(loop.index)
        case "first": return .bool(loop.index == 0)
        case "last": return .bool(try !lookAhead(loop, to: loop.index + 1))
        case "length": return .int(try total())
        case "revindex": return .int(try total() - loop.index)
        case "revindex0": return .int(try total() - loop.index - 1)
        case "depth": return .int(loop.level + 1)
        case "depth0": return .int(loop.level)
        case "previtem":
            return loop.index > 0 ? loop.items[loop.index - 1] : .undefined(.attribute(name))
        case "nextitem":
            return try lookAhead(loop, to: loop.index + 1)
                ? loop.items[loop.index + 1] : .undefined(.attribute(name))
        case "cycle", "changed":
            return .function(
                Function(.method(name == "cycle" ? .cycle : .changed, of: .loop(loop)), name: name))
        default: return .undefined(.attribute(name))
        }
    }
}
