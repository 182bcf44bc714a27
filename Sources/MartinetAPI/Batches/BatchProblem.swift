/// What is wrong with a batch's file.
public struct BatchProblem: Error, Sendable, Hashable {
    /// The problem's name.
    public var code: String
    /// What was wrong, and what to do.
    public var message: String
    /// The member of the line's object at fault.
    public var parameter: String?
    /// The line, from 1; `nil` where it is the file as a whole.
    public var line: Int?

    /// Describes a problem.
    public init(code: String, message: String, parameter: String? = nil, line: Int? = nil) {
        self.code = code
        self.message = message
        self.parameter = parameter
        self.line = line
    }
}

/// How many requests a batch has and how they ended.
public struct BatchCounts: Sendable, Hashable {
    /// Lines of its file.
    public var total = 0
    /// Answered with success.
    public var completed = 0
    /// Answered with an error.
    public var failed = 0

    /// Counts.
    public init(total: Int = 0, completed: Int = 0, failed: Int = 0) {
        self.total = total
        self.completed = completed
        self.failed = failed
    }
}
