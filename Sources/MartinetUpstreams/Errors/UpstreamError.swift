package import MartinetAPI

/// What went wrong with an upstream, and what the client is told.
package struct UpstreamError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as clients and metrics see it.
        package let description: String
        /// The request cannot be sent anywhere.
        package static let invalidRequest = Code(description: "invalid_request")
        /// The upstream says that the client's request is wrong.
        package static let refused = Code(description: "upstream_refused")
        /// No connection, or one that broke before the answer.
        package static let connectionFailed = Code(description: "upstream_connection_failed")
        /// No first token, or no answer, in time.
        package static let timedOut = Code(description: "upstream_timeout")
        /// Nothing came for too long inside a stream.
        package static let stalled = Code(description: "upstream_stalled")
        /// The stream broke off.
        package static let brokenStream = Code(description: "upstream_stream_broken")
        /// The answer is not what the API promises.
        package static let badAnswer = Code(description: "upstream_bad_answer")
        /// The answer, one event or its head is too large.
        package static let tooLarge = Code(description: "upstream_answer_too_large")
        /// The upstream answered with a server's error.
        package static let failed = Code(description: "upstream_error")
        /// The upstream wants fewer requests.
        package static let rateLimited = Code(description: "upstream_rate_limited")
        /// The upstream does not take our credentials.
        package static let credentials = Code(description: "upstream_credentials")
        /// Every member has as many requests as it may have.
        package static let busy = Code(description: "upstreams_busy")
        /// No member can be used now.
        package static let unavailable = Code(description: "upstreams_unavailable")
        /// The request's own deadline passed.
        package static let deadlineExceeded = Code(description: "deadline_exceeded")
        /// The client left, or another member was faster.
        package static let cancelled = Code(description: "cancelled")
    }

    /// What kind of error it is.
    package var code: Code
    /// Which upstream did what.
    package var message: String
    /// The HTTP status for the client.
    package var status: Int
    /// Whether another member may do better, and nothing speaks against asking it.
    package var isRetryable: Bool
    /// Seconds after which a retry makes sense.
    package var retryAfter: Int?
    /// The upstream's own answer, where the fault is the client's.
    package var answer: APIError?

    /// Makes an error.
    package init(
        _ code: Code, _ message: String, status: Int, isRetryable: Bool = false, retryAfter: Int? = nil,
        answer: APIError? = nil
    ) {
        self.code = code
        self.message = message
        self.status = status
        self.isRetryable = isRetryable
        self.retryAfter = retryAfter
        self.answer = answer
    }

    /// The message.
    package var description: String { message }

    /// The error as HTTP clients see it.
    package var apiError: APIError {
        if let answer { return answer }
        let type =
            switch status {
            case 429: "rate_limit_error"
            case 503: "service_unavailable_error"
            case 400..<500: "invalid_request_error"
            default: "server_error"
            }
        return APIError(
            status: status, message, type: type, code: code.description,
            retryAfter: retryAfter ?? (status == 503 ? 1 : nil))
    }

    /// Whether it says something about the member's health.
    var isMembersFault: Bool {
        switch code {
        case .connectionFailed, .timedOut, .stalled, .brokenStream, .badAnswer, .tooLarge, .failed, .credentials: true
        default: false
        }
    }

    static let cancelled = UpstreamError(.cancelled, "the request was given up", status: 499)

    static func deadlineExceeded(_ place: String) -> UpstreamError {
        UpstreamError(.deadlineExceeded, "The request's deadline passed \(place).", status: 504)
    }

    static func badAnswer(_ upstream: String, _ problem: String) -> UpstreamError {
        UpstreamError(
            .badAnswer, "Upstream \(upstream) answered \(problem).", status: 502, isRetryable: true)
    }

    static func tooLarge(_ upstream: String, _ problem: String) -> UpstreamError {
        UpstreamError(.tooLarge, "Upstream \(upstream) sent \(problem).", status: 502, isRetryable: true)
    }
}
