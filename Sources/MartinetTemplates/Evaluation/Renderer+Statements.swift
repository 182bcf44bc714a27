/// How a body ended.
enum Flow { case normal, breakLoop, continueLoop }

extension Renderer {
    func execute(_ statements: [Statement]) throws(TemplateError) -> Flow {
        for statement in statements {
            do {
                let flow = try execute(statement)
                if flow != .normal { return flow }
            } catch {
                throw error.at(statement.line)
            }
        }
        return .normal
    }

    private func execute(_ statement: Statement) throws(TemplateError) -> Flow {
        switch statement.kind {
        case .text(let text): try emit(text)
        case .output(let expression): try emit(text(evaluate(expression)))
        case .set(let target, let expression): try assign(target, evaluate(expression))
        case .condition(let branches, let otherwise):
            try enter()
            defer { leave() }
            for branch in branches where try evaluate(branch.test).isTrue { return try execute(branch.body) }
            return try execute(otherwise)
        case .loop(let definition):
            try enter()
            defer { leave() }
            return try execute(definition, over: try evaluate(definition.iterable), level: 0)
        case .capture(let target, let filters, let body):
            let (text, flow) = try captureBody(body)
            captured = text
            let value = try evaluate(filters)
            try assign(target, value)
            return flow
        case .macro(let macro):
            try assign(
                .name(macro.variable, macro.name),
                .function(try makeFunction(.macro(macro), name: macro.name, scope: scope)))
        case .callBlock(let call, let body): try executeCall(call, body)
        case .filterBlock(let filters, let body):
            let (text, flow) = try captureBody(body)
            captured = text
            try emit(self.text(evaluate(filters)))
            return flow
        case .with(let bindings, let body):
            var values: [Value] = []
            for binding in bindings { values.append(try evaluate(binding.value)) }
            return try inScope(Scope(parent: scope)) { () throws(TemplateError) in
                for (binding, value) in zip(bindings, values) { try assign(binding.target, value) }
                return try execute(body)
            }
        case .scope(let body):
            return try inScope(Scope(parent: scope)) { () throws(TemplateError) in try execute(body) }
        case .breakLoop: return .breakLoop
        case .continueLoop: return .continueLoop
        }
        return .normal
    }

    /// Runs `body` with other innermost variables.
    func inScope<T>(_ inner: Scope?, _ body: () throws(TemplateError) -> T) throws(TemplateError) -> T {
        try enter()
        let outer = scope
        scope = inner
        let result = try body()
        scope = outer
        leave()
        return result
    }

    private func captureBody(_ body: [Statement]) throws(TemplateError) -> (Value, Flow) {
        var flow = Flow.normal
        let text = try capture { () throws(TemplateError) in
            flow = try inScope(Scope(parent: scope)) { () throws(TemplateError) in try execute(body) }
        }
        return (.string(text), flow)
    }

    private func executeCall(_ call: Expression, _ body: MacroDefinition) throws(TemplateError) {
        guard case .call(let callee, let arguments) = call else { return }
        try enter()
        let function = try evaluate(callee)
        var values = try evaluate(arguments)
        let caller = try makeFunction(.macro(body), name: body.name, scope: scope)
        values.keywords.append((Text("caller"), .function(caller)))
        try emit(text(self.call(function, values)))
        leave()
    }

    func assign(_ target: Target, _ value: Value) throws(TemplateError) {
        switch target {
        case .name(let number, _):
            if let scope { scope.set(number, value) } else { root[number] = value }
        case .attribute(let number, let name, let attribute):
            guard case .namespace(let namespace) = lookUp(number, name) else {
                throw .runtime("cannot assign to an attribute of '\(name.string)': it is not a namespace")
            }
            guard attribute.bytes.first != UInt8(ascii: "_") else {
                throw .runtime("a namespace cannot have the attribute '\(attribute.string)'")
            }
            try reserve(members: namespace.attributes.count)
            namespace.attributes = namespace.attributes.setting(.string(attribute), value)
        case .tuple(let targets):
            let values = try members(of: value)
            guard values.count == targets.count else {
                throw .runtime("cannot unpack \(values.count) values into \(targets.count) names")
            }
            for (target, value) in zip(targets, values) { try assign(target, value) }
        }
    }

    // MARK: - Loops

    /// Runs a loop over a value's members.
    func execute(_ definition: LoopDefinition, over value: Value, level: Int) throws(TemplateError) -> Flow {
        let outer = scope
        let loop = Loop(definition, try members(of: value), level: level, scope: outer)
        var isEmpty = true
        while try lookAhead(loop, to: loop.index + 1) {
            loop.index += 1
            try enter()
            let inner = Scope(parent: outer)
            scope = inner
            try assign(definition.target, loop.items[loop.index])
            inner.set(WellKnown.loop, .loop(loop))
            let flow = try execute(definition.body)
            scope = outer
            leave()
            if flow == .breakLoop { break }
            // Jinja2 notes a turn at the end of the body: one that `continue` cuts short does not count for `else`.
            if flow == .normal { isEmpty = false }
        }
        guard isEmpty, !definition.otherwise.isEmpty else { return .normal }
        return try inScope(Scope(parent: outer)) { () throws(TemplateError) in try execute(definition.otherwise) }
    }

    /// Whether the loop has a member at a position; judges members by the loop's `if` as late as Jinja2 does.
    func lookAhead(_ loop: Loop, to position: Int) throws(TemplateError) -> Bool {
        guard let test = loop.definition.test else { return position < loop.items.count }
        while loop.items.count <= position, let next = loop.unjudged.popFirst() {
            let isWanted = try inScope(Scope(parent: loop.scope)) { () throws(TemplateError) in
                try assign(loop.definition.target, next)
                return try evaluate(test).isTrue
            }
            if isWanted { loop.items.append(next) }
        }
        return position < loop.items.count
    }

    /// The members that iterating over a value gives.
    func members(of value: Value) throws(TemplateError) -> [Value] {
        switch value {
        case .list(let items), .tuple(let items): return items.items
        case .undefined: return []
        case .dict(let dict): return dict.keys
        case .range(let range):
            try reserve(members: range.count)
            return range.items
        case .string(let text):
            let count = text.count
            try reserve(members: count)
            return text.characters.map { .string($0) }
        case .iterator(let iterator): return iterator.rest()
        case .loop(let loop):
            _ = try lookAhead(loop, to: .max - 1)
            let rest = Array(loop.items.dropFirst(loop.index + 1))
            return rest
        default: throw .runtime("a value of type \(value.typeName) cannot be iterated over")
        }
    }
}
