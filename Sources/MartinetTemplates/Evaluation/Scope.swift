/// Variables of one body: of a loop's turn, a macro's call, a captured block.
final class Scope {
    let parent: Scope?
    private var variables: [(number: Int, value: Value)] = []

    init(parent: Scope?) { self.parent = parent }

    func set(_ number: Int, _ value: Value) {
        for position in variables.indices where variables[position].number == number {
            variables[position].value = value
            return
        }
        variables.append((number, value))
    }

    func value(_ number: Int) -> Value? {
        var scope: Scope? = self
        while let current = scope {
            for variable in current.variables where variable.number == number { return variable.value }
            scope = current.parent
        }
        return nil
    }
}

/// A `for` loop under way: what `loop` names.
final class Loop {
    let definition: LoopDefinition
    /// Members seen or looked ahead to; all of them when the loop has no `if`.
    var items: [Value]
    /// Members that the loop's `if` has not judged.
    var unjudged: ArraySlice<Value>
    var index = -1
    /// Loops of a recursive loop around this one.
    let level: Int
    /// The scope around the loop.
    let scope: Scope?
    let depth: Int
    /// The arguments of the last `loop.changed`.
    var lastChecked: Value?

    init(_ definition: LoopDefinition, _ source: [Value], level: Int, scope: Scope?) {
        self.definition = definition
        items = definition.test == nil ? source : []
        unjudged = definition.test == nil ? [] : source[...]
        self.level = level
        self.scope = scope
        var measure = Measure()
        for item in source { measure.add(item) }
        depth = measure.depth + 1
    }
}

/// Something a template can call.
final class Function {
    enum Kind {
        case macro(MacroDefinition)
        case builtin(Builtin)
        case method(Method, of: Value)
        case cycler([Value])
        case joiner(Text)
    }

    /// Functions that every template sees.
    enum Builtin: String, CaseIterable {
        case range, dict, namespace, cycler, joiner
        case raiseException = "raise_exception"
        case strftimeNow = "strftime_now"
    }

    let kind: Kind
    let name: Text
    let depth: Int
    /// Where a macro was defined. The renderer clears it at the end, as scopes and macros refer to each other.
    var scope: Scope?
    /// Calls so far, of a cycler or joiner.
    var calls = 0

    init(_ kind: Kind, name: Text, scope: Scope? = nil) {
        self.kind = kind
        self.name = name
        self.scope = scope
        switch kind {
        case .method(_, let receiver): depth = receiver.measure.depth + 1
        case .cycler(let items):
            var measure = Measure()
            for item in items { measure.add(item) }
            depth = measure.depth + 1
        default: depth = 0
        }
    }
}

/// The arguments of a call, evaluated.
struct CallArguments {
    var positional: [Value] = []
    var keywords: [(name: Text, value: Value)] = []

    /// Arguments in the order of a signature; refuses unknown, repeated and surplus ones.
    func bound(_ function: String, _ names: StaticString...) throws(TemplateError) -> [Value?] {
        guard positional.count <= names.count else {
            throw .runtime("\(function) takes at most \(names.count) arguments, \(positional.count) were given")
        }
        var values: [Value?] = positional.map { $0 }
        while values.count < names.count { values.append(nil) }
        for (name, value) in keywords {
            guard let position = names.firstIndex(where: { name == $0 }) else {
                throw .runtime("\(function) has no argument '\(name.string)'")
            }
            guard values[position] == nil else {
                throw .runtime("\(function) got several values for argument '\(name.string)'")
            }
            values[position] = value
        }
        return values
    }

    func checkNone(_ function: String) throws(TemplateError) { _ = try bound(function) }
}
