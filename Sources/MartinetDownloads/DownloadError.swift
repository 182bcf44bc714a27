/// Why a model could not be fetched.
public struct DownloadError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// The argument of `pull` is not one of its forms.
        public static let invalidReference = Code(description: "invalid_reference")
        /// The server has no such file.
        public static let notFound = Code(description: "not_found")
        /// The server wants credentials, or refuses those given.
        public static let forbidden = Code(description: "forbidden")
        /// The server cannot be reached, or stopped answering.
        public static let unreachable = Code(description: "unreachable")
        /// The server answered something that is not the file.
        public static let badAnswer = Code(description: "bad_answer")
        /// The bytes are not those that were asked for.
        public static let checksumMismatch = Code(description: "checksum_mismatch")
        /// More bytes than announced or allowed.
        public static let tooLarge = Code(description: "too_large")
        /// The disk is full or refuses.
        public static let storage = Code(description: "storage")
        /// Another pull of the same model is running.
        public static let busy = Code(description: "busy")
        /// A helper program is missing or failed.
        public static let tool = Code(description: "tool")
        /// There is a different model of that name.
        public static let exists = Code(description: "exists")
    }
    /// What kind of error it is.
    public var code: Code
    /// What went wrong with which source, and what to do.
    public var message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
