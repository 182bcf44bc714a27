/// Methods that Python's types have.
enum Method: String, Sendable {
    // Strings
    case strip, lstrip, rstrip, split, rsplit, splitlines, startswith, endswith, replace, upper, lower, title
    case capitalize, find, rfind, index, rindex, count, join, format, isdigit, isalpha, isalnum, isspace, isupper
    case islower, isnumeric, isdecimal, istitle, isidentifier, isascii, removeprefix, removesuffix, swapcase, casefold
    case center, ljust, rjust, zfill, partition, rpartition, expandtabs
    // Dictionaries
    case items, keys, values, get, copy
    case update, pop, popitem, setdefault, clear
    // Lists
    case append, extend, insert, remove, reverse, sort
    // Loops and cyclers
    case cycle, changed, next, reset

    /// Whether it changes what it is called on: the sandbox refuses it.
    var changesReceiver: Bool {
        switch self {
        case .update, .pop, .popitem, .setdefault, .clear, .append, .extend, .insert, .remove, .reverse, .sort: true
        default: false
        }
    }

    /// Whether a value's type has it.
    func exists(on value: Value) -> Bool {
        switch value {
        case .string:
            switch self {
            case .items, .keys, .values, .get, .copy, .cycle, .changed, .next, .reset: false
            default: !changesReceiver
            }
        case .dict:
            switch self {
            case .items, .keys, .values, .get, .copy, .update, .pop, .popitem, .setdefault, .clear: true
            default: false
            }
        case .list:
            switch self {
            case .index, .count, .copy, .pop, .clear, .append, .extend, .insert, .remove, .reverse, .sort: true
            default: false
            }
        case .tuple, .range: self == .index || self == .count
        case .function(let function):
            if case .cycler = function.kind { self == .next || self == .reset } else { false }
        default: false
        }
    }
}

extension Renderer {
    /// Calls a method that the receiver's type has.
    @inline(never)
    func call(_ method: Method, on receiver: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        guard !method.changesReceiver else { throw .runtime(Missing.unsafe(Text(method.rawValue)).message) }
        switch receiver {
        case .string(let text):
            try pay(bytes: text.bytes.count)
            return try call(method, on: text, arguments)
        case .dict(let dict): return try call(method, on: dict, arguments)
        case .list(let items):
            if method == .copy { return receiver }
            return try callSequence(method, items.items, arguments)
        case .function(let function):
            guard case .cycler(let items) = function.kind else { break }
            try arguments.checkNone(method.rawValue)
            if method == .reset {
                function.calls = 0
                return .none
            }
            function.calls += 1
            return items[(function.calls - 1) % items.count]
        default: return try callSequence(method, members(of: receiver), arguments)
        }
        throw .runtime("this value has no method '\(method.rawValue)'")
    }

    private func call(_ method: Method, on dict: Dict, _ arguments: CallArguments) throws(TemplateError) -> Value {
        switch method {
        case .get:
            let bound = arguments.positional
            guard (1...2).contains(bound.count), arguments.keywords.isEmpty else {
                throw .runtime("get() takes a key and a default")
            }
            try checkKey(bound[0])
            return dict.member(bound[0]) ?? (bound.count > 1 ? bound[1] : .none)
        case .copy: return .dict(dict)
        default:
            try arguments.checkNone(method.rawValue)
            try reserve(members: dict.count)
            switch method {
            case .keys: return .list(dict.keys)
            case .values: return .list(dict.values)
            default: return .list(dict.pairs)
            }
        }
    }

    private func callSequence(
        _ method: Method, _ items: [Value], _ arguments: CallArguments
    ) throws(TemplateError) -> Value {
        guard let wanted = arguments.positional.first, arguments.keywords.isEmpty else {
            throw .runtime("\(method.rawValue)() takes a value")
        }
        var count = 0
        for (position, item) in items.enumerated() where try equal(item, wanted) {
            if method == .index { return .int(position) }
            count += 1
        }
        guard method == .count else { throw .runtime("the value is not in the list") }
        return .int(count)
    }
}
