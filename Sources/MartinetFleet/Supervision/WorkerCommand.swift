/// What to run as a worker.
package struct WorkerCommand: Sendable {
    /// Where its standard output and error go.
    package enum Output: Sendable {
        /// Where this process's go.
        case inherited
        /// To a function, line by line, on a thread of its own; lines above 64 KiB come in parts.
        case lines(@Sendable (String) -> Void)
    }

    /// The program's path.
    package var executable: String
    /// Its arguments, without its name.
    package var arguments: [String]
    /// Its whole environment; `nil` for this process's.
    package var environment: [String: String]?
    /// Where its output goes.
    package var output: Output

    /// Describes a command.
    package init(
        executable: String, arguments: [String] = [], environment: [String: String]? = nil, output: Output = .inherited
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.output = output
    }
}
