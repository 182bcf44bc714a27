internal import HTTPTypes
internal import MartinetAPI
internal import MartinetEngine

/// What a request's headers say beside its body.
struct RequestHints: Sendable {
    /// When the answer is of no use any more.
    var deadline: ContinuousClock.Instant?
    /// The conversation that the request belongs to.
    var session: String?

    /// Reads the headers of a request that has just come.
    ///
    /// - Parameter sessionHeader: the header that names the conversation.
    /// - Throws: ``APIError`` 400 where a header holds what it cannot.
    init(_ headers: HTTPFields, sessionHeader: HTTPField.Name) throws(APIError) {
        session = headers[sessionHeader].flatMap { (1...1024).contains($0.utf8.count) ? $0 : nil }
        guard let text = headers[.requestTimeout] else { return }
        guard let seconds = Double(text), seconds > 0, seconds <= 1e6 else {
            throw .invalid(
                nil, "The header X-Request-Timeout must be a number of seconds above 0, got `\(text.prefix(64))`.")
        }
        deadline = .now + .milliseconds(Int(seconds * 1000))
    }

    /// The same requests with what the headers say.
    func applied(to requests: [InferenceRequest]) -> [InferenceRequest] {
        requests.map { request in
            var request = request
            request.deadline = deadline
            request.session = session
            return request
        }
    }
}

extension HTTPField.Name {
    /// `X-Request-Timeout`: the seconds within which an answer must be complete.
    static let requestTimeout = HTTPField.Name("X-Request-Timeout") ?? .server
    /// `X-Session-Id`: names the conversation.
    static let session = HTTPField.Name("X-Session-Id") ?? .server
}
