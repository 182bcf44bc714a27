/// A benchmark's setting that cannot be used.
public struct BenchmarkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong, with the offending text and what to write instead.
    public var message: String

    /// Makes an error.
    public init(_ message: String) { self.message = message }

    /// The message.
    public var description: String { message }
}
