/// A file of requests that are answered without haste, as `/v1/batches` shows it.
///
/// It changes by ``apply(_:at:)`` alone, and ``next(at:)`` says what is to be done for it: both know nothing of files,
/// engines or clocks.
public struct Batch: Sendable {
    /// Its name, `batch_…`.
    public var id: String
    /// The route that its requests are for, such as `/v1/chat/completions`.
    public var endpoint: String
    /// The file of its requests.
    public var inputFile: String
    /// How long it may take, as the client said it.
    public var completionWindow: String
    /// Where it is on its way.
    public internal(set) var status = BatchStatus.validating
    /// When each status began, in seconds since 1970.
    public internal(set) var times: [BatchStatus: Int]
    /// When it ends, done or not, in seconds since 1970.
    public var expires: Int
    /// The file of the answers, where there are any.
    public internal(set) var outputFile: String?
    /// The file of the errors, where there are any.
    public internal(set) var errorFile: String?
    /// What is wrong with its file.
    public internal(set) var problems: [BatchProblem] = []
    /// How its requests go.
    public var counts = BatchCounts()
    /// What the client noted on it.
    public var metadata: [(key: String, value: String)] = []

    /// A batch that has just been asked for.
    public init(id: String, request: BatchRequest, at now: Int) {
        self.id = id
        endpoint = request.endpoint
        inputFile = request.inputFile
        completionWindow = request.completionWindow
        expires = now + request.seconds
        metadata = request.metadata
        times = [.validating: now]
    }

    /// When it was asked for, in seconds since 1970.
    public var created: Int { times[.validating] ?? 0 }
}
