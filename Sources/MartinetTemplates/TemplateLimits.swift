/// How much one reading or rendering of a template may cost.
///
/// Templates come with model files, which may be hostile, and see text that clients wrote: each bound is checked
/// before the work is done, and exceeding one gives a ``TemplateError`` that names it.
public struct TemplateLimits: Sendable, Hashable {
    /// Bytes of template source.
    public var sourceBytes = 4 << 20
    /// Nested expressions, statements and calls, in the source and while rendering.
    ///
    /// A level costs up to about 700 bytes of the calling thread's stack.
    public var depth = 300
    /// Bytes of the calling thread's stack that reading or rendering may use, whatever ``depth`` allows.
    public var stackBytes = 300 << 10
    /// Evaluation steps: about one per operation, and one per 64 bytes or 8 list members that an operation reads.
    public var steps = 10_000_000
    /// Bytes of rendered text.
    public var outputBytes = 16 << 20
    /// Bytes of one string made on the way.
    public var stringBytes = 32 << 20
    /// Members of one list, range or dictionary made on the way (Jinja2's own bound for `range`).
    public var listMembers = 100_000
    /// Bytes of all strings, lists and dictionaries made on the way together, whether still in use or not.
    public var allocatedBytes = 1 << 30
    /// Lists inside lists; also bounds what can be printed.
    public var valueDepth = 200
    /// Namespaces, macros and joiners made while rendering.
    public var objects = 100_000
    /// Milliseconds of rendering.
    public var milliseconds = 10_000

    /// Makes the default limits, which are generous for real templates.
    public init() {}

    /// The default limits.
    public static let `default` = TemplateLimits()
}
