/// Why a request failed.
public struct RequestFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind that failures are counted by, such as `http_429` or `timeout`.
    public var kind: String
    /// What was said, for people; at most a line.
    public var message: String

    /// Makes a failure; control characters leave the message, and only its first 200 characters stay.
    public init(_ kind: String, _ message: String = "") {
        self.kind = kind
        let scalars = message.unicodeScalars.prefix(200).map { scalar in
            scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format ? " " : scalar
        }
        self.message = String(String.UnicodeScalarView(scalars))
    }

    /// The server answered with a status other than 200.
    public static func status(_ code: UInt, _ message: String = "") -> RequestFailure {
        RequestFailure("http_\(code)", message)
    }
    /// No connection came about.
    public static let connect = RequestFailure("connect")
    /// No answer, or no end of it, in time.
    public static let timeout = RequestFailure("timeout")
    /// The connection ended before the answer did.
    public static let closed = RequestFailure("connection_closed")
    /// The stream ended without saying that the answer had.
    public static let truncated = RequestFailure("truncated_stream")
    /// The stream held something else than chunks.
    public static let malformed = RequestFailure("malformed_stream")
    /// The answer, or a line of it, is larger than any answer should be.
    public static let oversized = RequestFailure("oversized_stream")
    /// The answer held no text at all.
    public static let empty = RequestFailure("empty_answer")

    /// Kind and message.
    public var description: String { message.isEmpty ? kind : "\(kind): \(message)" }
}

/// What was seen of one request; times in seconds from when it was sent.
public struct RequestRecord: Sendable, Hashable {
    /// Why it failed, where it did; the other figures then say how far it came.
    public var failure: RequestFailure?
    /// Tokens in the prompt, as the server counted them.
    public var promptTokens: Int?
    /// Tokens of the answer as the server counted them.
    public var completionTokens: Int?
    /// Chunks with text.
    public var textChunks = 0
    /// When the first text came.
    public var firstText = 0.0
    /// When the last text came.
    public var lastText = 0.0
    /// The times between one text and the next.
    public var gaps: [Double] = []
    /// How much later than planned it was sent.
    public var delay = 0.0

    /// A request of which nothing was seen yet.
    public init(failure: RequestFailure? = nil) { self.failure = failure }

    /// Tokens of the answer: the server's count, or that of the chunks where it gives none.
    public var outputTokens: Int { completionTokens ?? textChunks }

    /// Seconds for each token after the first; `nil` where there is only one.
    public var timePerOutputToken: Double? {
        outputTokens > 1 ? (lastText - firstText) / Double(outputTokens - 1) : nil
    }
}
