/// A chat template: Jinja2 as model files carry it, read once and rendered for every conversation.
///
/// The language is the part of Jinja2 that chat templates use, in the environment that Hugging Face `transformers`
/// gives them: `trim_blocks` and `lstrip_blocks` on, the immutable sandbox, `break` and `continue`, `tojson` without
/// HTML escapes, `raise_exception` and `strftime_now`. `docs/reference/templates.md` says what is there and what
/// differs.
///
/// ```swift
/// let template = try ChatTemplate("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
/// let prompt = try template.render(["messages": [["role": "user", "content": "Hello"]]])
/// ```
public struct ChatTemplate: Sendable {
    /// The source it was read from.
    public let source: String
    private let statements: [Statement]
    private let names: [Text]

    /// Reads a template.
    ///
    /// - Throws: ``TemplateError`` with the code `syntax`, `unsupported` or `limitExceeded`, and the line.
    public init(_ source: String, limits: TemplateLimits = .default) throws(TemplateError) {
        guard source.utf8.count <= limits.sourceBytes else {
            throw TemplateError.limit("sourceBytes", limits.sourceBytes)
        }
        self.source = source
        var parser = Parser(try Lexer.tokens(of: source), limits: limits)
        statements = try parser.parseTemplate()
        names = parser.names
    }

    /// Renders the template.
    ///
    /// Safe to call from any thread; a rendering uses at most ``TemplateLimits/stackBytes`` of the thread's stack.
    /// - Parameters:
    ///   - context: The variables: `messages`, `tools`, `add_generation_prompt`, `bos_token` and so on. A variable
    ///     that is absent is undefined, which is not the same as `null`.
    ///   - limits: What the rendering may cost.
    ///   - clock: The time that `strftime_now` gives.
    /// - Throws: ``TemplateError`` with the code `raised` when the template refuses the conversation, `runtime` when
    ///   it does not fit it, `limitExceeded` when it costs too much.
    public func render(
        _ context: [String: TemplateValue], limits: TemplateLimits = .default, clock: TemplateClock = .system
    ) throws(TemplateError) -> String {
        try Renderer(names: names, limits: limits, clock: clock)
            .render(statements, context.lazy.map { (key: $0.key, value: $0.value) })
    }

    /// The variables and functions that the template speaks of, such as `tools` or `enable_thinking`.
    public var variableNames: Set<String> { Set(names.dropFirst(WellKnown.names.count).map(\.string)) }
}
