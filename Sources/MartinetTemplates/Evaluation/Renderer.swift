#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Renders one template once. Used on one thread, thrown away after.
final class Renderer {
    let limits: TemplateLimits
    let clock: TemplateClock
    private let names: [Text]
    /// What is rendered so far, of the template or of the innermost captured block.
    var output: [UInt8] = []
    /// How many captured blocks are open.
    var captures = 0
    var captured = Value.none
    /// The outermost variables, by number.
    var root: [Value?]
    var scope: Scope?

    private var depth = 0
    private let stack: NativeStack
    private var steps = 0
    private var allocated = 0
    private var nextLook: Int
    private let deadline: Int
    /// All namespaces and macros made: emptied at the end, since they can refer to each other in cycles.
    private var namespaces: [Namespace] = []
    private var functions: [Function] = []

    private static let stepsPerLook = 4096

    init(names: [Text], limits: TemplateLimits, clock: TemplateClock) {
        self.names = names
        self.limits = limits
        self.clock = clock
        stack = NativeStack(bytes: limits.stackBytes)
        root = Array(repeating: nil, count: names.count)
        deadline = Self.milliseconds() + limits.milliseconds
        nextLook = min(Self.stepsPerLook, limits.steps + 1)
        output.reserveCapacity(4096)
    }

    /// Renders statements over a context.
    func render(
        _ statements: [Statement], _ context: some Sequence<(key: String, value: TemplateValue)>
    ) throws(TemplateError) -> String {
        defer { release() }
        try fillRoot(context)
        _ = try execute(statements)
        return String(decoding: output, as: UTF8.self)
    }

    private func fillRoot(_ context: some Sequence<(key: String, value: TemplateValue)>) throws(TemplateError) {
        var numbers: [Text: Int] = [:]
        numbers.reserveCapacity(names.count)
        for (number, name) in names.enumerated() { numbers[name] = number }
        for builtin in Function.Builtin.allCases {
            let name = Text(builtin.rawValue)
            if let number = numbers[name] { root[number] = .function(Function(.builtin(builtin), name: name)) }
        }
        for (key, value) in context {
            guard let number = numbers[Text(key)] else { continue }
            guard let value = Value(value, depth: limits.valueDepth) else {
                throw TemplateError.limit("valueDepth", limits.valueDepth)
            }
            root[number] = value
        }
    }

    private func release() {
        for namespace in namespaces { namespace.attributes = Dict() }
        for function in functions { function.scope = nil }
    }

    // MARK: - Limits

    /// Enters a nested statement, expression or call; paired with ``leave()`` unless rendering fails.
    @inline(__always)
    func enter() throws(TemplateError) {
        depth += 1
        steps += 1
        if depth > limits.depth { throw TemplateError.limit("depth", limits.depth) }
        if steps >= nextLook { try look() }
        if depth & 7 == 0, stack.isExhausted { throw TemplateError.limit("stackBytes", limits.stackBytes) }
    }

    @inline(__always)
    func leave() { depth -= 1 }

    /// Pays for an operation that reads or writes this many bytes.
    @inline(__always)
    func pay(bytes: Int) throws(TemplateError) { try pay(steps: bytes >> 6) }

    @inline(__always)
    func pay(steps count: Int) throws(TemplateError) {
        let (sum, overflow) = steps.addingReportingOverflow(count)
        steps = overflow ? .max : sum
        if steps >= nextLook { try look() }
    }

    private func look() throws(TemplateError) {
        if steps > limits.steps { throw TemplateError.limit("steps", limits.steps) }
        if Self.milliseconds() > deadline { throw TemplateError.limit("milliseconds", limits.milliseconds) }
        nextLook = min(steps + Self.stepsPerLook, limits.steps + 1)
    }

    private static func milliseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    /// Refuses a string of this many bytes before it is made.
    func reserve(bytes: Int) throws(TemplateError) {
        if bytes > limits.stringBytes { throw TemplateError.limit("stringBytes", limits.stringBytes) }
        allocated += bytes
        if allocated > limits.allocatedBytes { throw TemplateError.limit("allocatedBytes", limits.allocatedBytes) }
        try pay(bytes: bytes)
    }

    /// Refuses a list of this many members before it is made.
    func reserve(members: Int) throws(TemplateError) {
        if members > limits.listMembers { throw TemplateError.limit("listMembers", limits.listMembers) }
        allocated += members * 16
        if allocated > limits.allocatedBytes { throw TemplateError.limit("allocatedBytes", limits.allocatedBytes) }
        try pay(steps: members >> 3)
    }

    /// Pays for a value just made, and refuses it when it is too large or nests too deeply.
    func made(_ value: Value) throws(TemplateError) -> Value {
        switch value {
        case .string(let text): try reserve(bytes: text.bytes.count)
        case .list(let items), .tuple(let items): try reserve(members: items.items.count)
        case .dict(let dict): try reserve(members: dict.count)
        default: break
        }
        if value.measure.depth > limits.valueDepth { throw TemplateError.limit("valueDepth", limits.valueDepth) }
        return value
    }

    func made(_ text: Text) throws(TemplateError) -> Value { try made(.string(text)) }

    /// Pays for reading the whole of a value, shared members each time.
    func paid(_ value: Value) throws(TemplateError) {
        var weight = value.measure.weight
        if case .namespace(let namespace) = value { weight = namespace.attributes.weight }
        if weight > limits.stringBytes { throw TemplateError.limit("stringBytes", limits.stringBytes) }
        try pay(bytes: weight)
    }

    /// Pays for a key, and refuses what cannot be one.
    func checkKey(_ key: Value) throws(TemplateError) {
        try paid(key)
        try key.checkHashable()
    }

    private func registered() throws(TemplateError) {
        if namespaces.count + functions.count >= limits.objects { throw TemplateError.limit("objects", limits.objects) }
    }

    func makeNamespace() throws(TemplateError) -> Namespace {
        try registered()
        let namespace = Namespace()
        namespaces.append(namespace)
        return namespace
    }

    func makeFunction(_ kind: Function.Kind, name: Text, scope: Scope?) throws(TemplateError) -> Function {
        try registered()
        let function = Function(kind, name: name, scope: scope)
        functions.append(function)
        return function
    }

    // MARK: - Output

    func emit(_ text: Text) throws(TemplateError) {
        let bound = captures > 0 ? limits.stringBytes : limits.outputBytes
        if output.count + text.bytes.count > bound {
            throw TemplateError.limit(captures > 0 ? "stringBytes" : "outputBytes", bound)
        }
        try pay(bytes: text.bytes.count)
        output.append(contentsOf: text.bytes)
    }

    /// Runs `body` and gives what it emitted.
    func capture(_ body: () throws(TemplateError) -> Void) throws(TemplateError) -> Text {
        let outer = output
        output = []
        captures += 1
        try body()
        captures -= 1
        let text = Text(valid: output)
        output = outer
        try reserve(bytes: text.bytes.count)
        return text
    }

    /// Python's `str()`, paid for.
    func text(_ value: Value) throws(TemplateError) -> Text {
        if case .string(let text) = value { return text }
        try paid(value)
        return value.text
    }
}
