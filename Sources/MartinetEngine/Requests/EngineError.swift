/// Why the engine did not take a request, or could not end it.
public struct EngineError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as clients see it.
        public let description: String

        /// Names a code.
        public init(description: String) { self.description = description }

        /// A parameter is out of range.
        public static let invalidParameter = Code(description: "invalid_parameter")
        /// Prompt and output do not fit the model's context.
        public static let contextLengthExceeded = Code(description: "context_length_exceeded")
        /// The queue is full.
        public static let queueFull = Code(description: "queue_full")
        /// The engine is shutting down or has failed.
        public static let unavailable = Code(description: "unavailable")
        /// The request's deadline passed.
        public static let deadlineExceeded = Code(description: "deadline_exceeded")
        /// The worker that computed a sequence was lost; it may go on at another.
        public static let workerLost = Code(description: "worker_lost")
    }
    /// What kind of error it is.
    public var code: Code
    /// What was wrong with which input, and what to do.
    public var message: String
    /// The request field at fault, where there is one, in the API's spelling.
    public var parameter: String?

    /// Makes an error.
    public init(_ code: Code, _ message: String, parameter: String? = nil) {
        self.code = code
        self.message = message
        self.parameter = parameter
    }

    /// A request whose deadline passed.
    package static let deadlinePassed = EngineError(
        .deadlineExceeded, "The request's deadline passed before its answer was complete.")

    /// A model whose weights, or a prompt that with them, give what is no number.
    package static let notANumber = EngineError(
        Code(description: "not_a_number"), "The embedding of this prompt is not a vector of numbers.")

    /// A request whose parameters exclude all that its grammar allows.
    package static let noTokenLeft = EngineError(
        .invalidParameter,
        "The output cannot go on: allowed_token_ids, bad_words or logit_bias exclude every token that the grammar "
            + "allows next.")

    /// The message.
    public var description: String { message }
}
