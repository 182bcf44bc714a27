internal import HTTPTypes
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetUpstreams

/// What a request's headers say beside its body.
struct RequestHints: Sendable {
    /// When the answer is of no use any more.
    var deadline: ContinuousClock.Instant?
    /// The conversation that the request belongs to.
    var session: String?
    /// Smaller runs first; `nil` where the body says.
    var priority: Int?

    /// Reads the headers of a request that has just come.
    ///
    /// - Parameters:
    ///   - sessionHeader: the header that names the conversation.
    ///   - priority: what comes before the body's own.
    /// - Throws: ``APIError`` 400 where a header holds what it cannot.
    init(_ headers: HTTPFields, sessionHeader: HTTPField.Name, priority: Int? = nil) throws(APIError) {
        self.priority = priority
        session = headers[sessionHeader].flatMap { (1...1024).contains($0.utf8.count) ? $0 : nil }
        func milliseconds(_ name: HTTPField.Name, _ unit: String, scale: Double) throws(APIError) -> Double? {
            guard let text = headers[name] else { return nil }
            guard let value = Double(text), value > 0, value * scale <= 1e9 else {
                throw .invalid(
                    nil, "The header \(name.rawName) must be a number of \(unit) above 0, got `\(text.prefix(64))`.")
            }
            return value * scale
        }
        // The second is what a gateway in front tells: what is left of the first.
        let asked = try milliseconds(.requestTimeout, "seconds", scale: 1000)
        let left = try milliseconds(.timeoutLeft, "milliseconds", scale: 1)
        guard let limit = [asked, left].compactMap({ $0 }).min() else { return }
        deadline = .now + .milliseconds(Int(limit.rounded(.up)))
    }

    /// What was said elsewhere than in headers.
    init(deadline: ContinuousClock.Instant?, session: String?) {
        self.deadline = deadline
        self.session = session
    }

    /// The same requests with what the headers say.
    func applied(to requests: [InferenceRequest]) -> [InferenceRequest] {
        requests.map { request in
            var request = request
            request.deadline = deadline
            request.session = session
            if let priority { request.priority = priority }
            return request
        }
    }
}

extension HTTPField.Name {
    /// `X-Request-Timeout`: the seconds within which an answer must be complete.
    static let requestTimeout = HTTPField.Name("X-Request-Timeout") ?? .server
    static let timeoutLeft = HTTPField.Name(UpstreamRequest.timeoutHeader) ?? .server
    /// `X-Session-Id`: names the conversation.
    static let session = HTTPField.Name("X-Session-Id") ?? .server
}
