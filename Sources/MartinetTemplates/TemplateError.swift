/// Why a chat template could not be read or rendered.
public struct TemplateError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of failure it was.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, such as `limitExceeded`.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The source is not a template: the model's file is at fault.
        public static let syntax = Code("syntax")
        /// The template uses a part of Jinja that this interpreter refuses, such as `include`.
        public static let unsupported = Code("unsupported")
        /// An operation failed for these values: an undefined value was used, a type did not fit.
        public static let runtime = Code("runtime")
        /// The template itself refused the conversation with `raise_exception`: the request is at fault.
        public static let raised = Code("raised")
        /// One of ``TemplateLimits`` was reached.
        public static let limitExceeded = Code("limitExceeded")
    }

    /// What kind of failure it was.
    public var code: Code
    /// What failed, in words. For ``Code/raised`` it is the template's own message, unchanged.
    public var message: String
    /// The line of the template, counted from 1, where known.
    public var line: Int?

    /// Makes an error.
    public init(code: Code, message: String, line: Int? = nil) {
        self.code = code
        self.message = message
        self.line = line
    }

    /// The message with the line in front of it.
    public var description: String {
        line.map { "chat template, line \($0): \(message)" } ?? "chat template: \(message)"
    }

    static func syntax(_ message: String, line: Int) -> TemplateError {
        TemplateError(code: .syntax, message: message, line: line)
    }

    static func runtime(_ message: String) -> TemplateError { TemplateError(code: .runtime, message: message) }

    static func limit(_ name: String, _ bound: Int) -> TemplateError {
        TemplateError(code: .limitExceeded, message: "the limit \(name) of \(bound) is exceeded")
    }
}
