extension Renderer {
    /// Calls a value.
    func call(_ value: Value, _ arguments: CallArguments) throws(TemplateError) -> Value {
        switch value {
        case .function(let function): return try call(function, arguments)
        case .loop(let loop):
            guard loop.definition.isRecursive else { throw .runtime("only a loop marked 'recursive' can be called") }
            guard arguments.keywords.isEmpty, arguments.positional.count == 1 else {
                throw .runtime("loop() takes one argument")
            }
            return .string(
                try capture { () throws(TemplateError) in
                    _ = try inScope(loop.scope) { () throws(TemplateError) in
                        try execute(loop.definition, over: arguments.positional[0], level: loop.level + 1)
                    }
                })
        case .undefined(let missing): throw .runtime(missing.message)
        default: throw .runtime("a value of type \(value.typeName) cannot be called")
        }
    }

    private func call(_ function: Function, _ arguments: CallArguments) throws(TemplateError) -> Value {
        switch function.kind {
        case .macro(let macro): return try call(macro, function.scope, arguments)
        case .builtin(let builtin): return try call(builtin, arguments)
        case .method(.cycle, _):
            guard case .method(_, .loop(let loop)) = function.kind, !arguments.positional.isEmpty else {
                throw .runtime("cycle() takes at least one argument")
            }
            return arguments.positional[max(loop.index, 0) % arguments.positional.count]
        case .method(.changed, .loop(let loop)):
            let value = Value.tuple(arguments.positional)
            if let last = loop.lastChecked, try equal(last, value) { return .bool(false) }
            loop.lastChecked = value
            return .bool(true)
        case .method(let method, let receiver): return try made(call(method, on: receiver, arguments))
        case .cycler(let items):
            throw .runtime("a cycler of \(items.count) is used by its next() method")
        case .joiner(let separator):
            try arguments.checkNone("joiner")
            function.calls += 1
            return .string(function.calls == 1 ? Text() : separator)
        }
    }

    private func call(
        _ macro: MacroDefinition, _ definitionScope: Scope?, _ arguments: CallArguments
    ) throws(TemplateError) -> Value {
        var keywords = arguments.keywords
        func take(_ name: Text) -> Value? {
            guard let position = keywords.firstIndex(where: { $0.name == name }) else { return nil }
            return keywords.remove(at: position).value
        }
        let inner = Scope(parent: definitionScope)
        let text = try capture { () throws(TemplateError) in
            try inScope(inner) { () throws(TemplateError) in
                for (position, parameter) in macro.parameters.enumerated() {
                    if position < arguments.positional.count {
                        inner.set(parameter.variable, arguments.positional[position])
                    } else if let value = take(parameter.name) {
                        inner.set(parameter.variable, value)
                    } else if let fallback = parameter.fallback {
                        inner.set(parameter.variable, try evaluate(fallback))
                    } else {
                        inner.set(parameter.variable, .undefined(.parameter(parameter.name)))
                    }
                }
                if macro.takesCaller, !macro.parameters.contains(where: { $0.variable == WellKnown.caller }) {
                    inner.set(WellKnown.caller, take(Text("caller")) ?? .undefined(.name(Text("caller"))))
                }
                if macro.takesKeywords {
                    var builder = Dict.Builder()
                    for (name, value) in keywords { builder.set(.string(name), value) }
                    inner.set(WellKnown.kwargs, .dict(builder.finish()))
                } else if let surplus = keywords.first {
                    throw .runtime("macro '\(macro.name.string)' takes no keyword argument '\(surplus.name.string)'")
                }
                let surplus = arguments.positional.dropFirst(macro.parameters.count)
                if macro.takesPositional {
                    inner.set(WellKnown.varargs, .tuple(Array(surplus)))
                } else if !surplus.isEmpty {
                    throw .runtime(
                        "macro '\(macro.name.string)' takes at most \(macro.parameters.count) arguments, "
                            + "\(arguments.positional.count) were given")
                }
                _ = try execute(macro.body)
            }
        }
        return .string(text)
    }

    private func call(_ builtin: Function.Builtin, _ arguments: CallArguments) throws(TemplateError) -> Value {
        switch builtin {
        case .range: return try range(arguments)
        case .dict:
            var builder = Dict.Builder()
            guard arguments.positional.count <= 1 else {
                throw .runtime("dict() takes at most one positional argument")
            }
            if let first = arguments.positional.first {
                if case .dict(let dict) = first {
                    builder = Dict.Builder(dict)
                } else {
                    for pair in try members(of: first) {
                        let pair = try members(of: pair)
                        guard pair.count == 2 else { throw .runtime("dict() takes pairs") }
                        try checkKey(pair[0])
                        builder.set(pair[0], pair[1])
                    }
                }
            }
            for (name, value) in arguments.keywords { builder.set(.string(name), value) }
            return try made(.dict(builder.finish()))
        case .namespace:
            let namespace = try makeNamespace()
            guard case .dict(let dict) = try call(.dict, arguments) else { return .namespace(namespace) }
            for case .string(let name) in dict.keys where name.bytes.first == UInt8(ascii: "_") {
                throw .runtime("a namespace cannot have the attribute '\(name.string)'")
            }
            namespace.attributes = dict
            return .namespace(namespace)
        case .cycler:
            guard !arguments.positional.isEmpty, arguments.keywords.isEmpty else {
                throw .runtime("cycler() takes at least one argument")
            }
            return try made(
                .function(makeFunction(.cycler(arguments.positional), name: Text("cycler"), scope: nil)))
        case .joiner:
            let separator = try arguments.bound("joiner", "sep")[0] ?? .string(", ")
            return .function(try makeFunction(.joiner(text(separator)), name: Text("joiner"), scope: nil))
        case .raiseException:
            guard let message = try arguments.bound("raise_exception", "message")[0] else {
                throw .runtime("raise_exception() takes a message")
            }
            throw TemplateError(code: .raised, message: try text(message).string)
        case .strftimeNow:
            guard case .string(let format)? = try arguments.bound("strftime_now", "format")[0] else {
                throw .runtime("strftime_now() takes a format string")
            }
            return .string(try clock.now().formatted(format))
        }
    }

    private func range(_ arguments: CallArguments) throws(TemplateError) -> Value {
        guard arguments.keywords.isEmpty, (1...3).contains(arguments.positional.count) else {
            throw .runtime("range() takes one to three integers")
        }
        var bounds: [Int] = []
        for value in arguments.positional {
            guard case .int(let bound)? = try number(value) as Number? else {
                throw .runtime("range() takes integers, not a value of type \(value.typeName)")
            }
            bounds.append(bound)
        }
        let start = bounds.count > 1 ? bounds[0] : 0
        let stop = bounds.count > 1 ? bounds[1] : bounds[0]
        let step = bounds.count > 2 ? bounds[2] : 1
        guard step != 0 else { throw .runtime("the step of range() cannot be zero") }
        let (distance, overflow) = stop.subtractingReportingOverflow(start)
        guard !overflow, step != .min else { throw TemplateError.limit("listMembers", limits.listMembers) }
        var count = 0
        if step > 0, distance > 0 { count = (distance - 1) / step + 1 }
        if step < 0, distance < 0 { count = (distance + 1) / step + 1 }
        if count > limits.listMembers { throw TemplateError.limit("listMembers", limits.listMembers) }
        return .range(NumberRange(start: start, step: step, count: count))
    }
}
