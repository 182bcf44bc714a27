package import MartinetFleet
package import NIOCore
internal import Synchronization

/// A client's request on its way to a pool of upstreams.
package struct UpstreamRequest: Sendable {
    /// The header that tells the next hop how many milliseconds are left.
    package static let timeoutHeader = "x-martinet-timeout-ms"

    /// Path and body.
    package var body: UpstreamRequestBody
    /// Headers of the client to hand on. Those about the connection, the body and credentials never are.
    package var headers: [(name: String, value: String)]
    /// When nobody waits for the answer any more.
    package var deadline: ContinuousClock.Instant?
    /// What the routing policy may look at.
    package var key: RoutingKey
    /// How many tokens it will take, prompt and output, as well as one can tell.
    package var cost: Int
    /// Whether a person waits for its first token.
    package var isInteractive: Bool

    /// A request.
    package init(
        _ body: UpstreamRequestBody, headers: [(name: String, value: String)] = [],
        deadline: ContinuousClock.Instant? = nil, key: RoutingKey = RoutingKey(), cost: Int = 0,
        isInteractive: Bool = false
    ) {
        self.body = body
        self.headers = headers
        self.deadline = deadline
        self.key = key
        self.cost = min(max(cost, 0), 1 << 40)
        self.isInteractive = isInteractive
    }
}

/// A pool's answer with status 200.
package struct UpstreamResponse: Sendable {
    /// The body.
    package enum Body: Sendable {
        /// A JSON object.
        case bytes(ByteBuffer)
        /// Server-sent events.
        case events(UpstreamEvents)
    }

    /// The header that names the member that answers.
    package static let upstreamHeader = "x-martinet-upstream"

    /// The headers for the client: content type and the member's name.
    package var headers: [(name: String, value: String)]
    /// The body.
    package var body: Body
    /// What the request has come to; complete once the body was read.
    package var record: UpstreamRecord
}

/// What a request has come to so far.
package final class UpstreamRecord: Sendable {
    /// The figures of a request.
    package struct Figures: Sendable {
        /// The members that gave parts of the answer, in order.
        package var members: [String] = []
        /// Tokens of the prompt, where an upstream said.
        package var promptTokens: Int?
        /// Tokens of the answer: as the upstream counted, else the chunks of text.
        package var completionTokens = 0
        /// Attempts after the first one.
        package var retries = 0
        /// Whether a second member was asked to be faster.
        package var isHedged = false
        /// Breaks of the stream that another member went on from.
        package var continuations = 0
        /// What broke the stream off for good; the client got it as an event.
        package var error: UpstreamError?
        /// Whether the body came to its end.
        package var isComplete = false
    }

    private let state = Mutex(Figures())

    init() {}

    /// The figures now.
    package var figures: Figures { state.withLock { $0 } }

    func update(_ change: (inout Figures) -> Void) { state.withLock { change(&$0) } }
}
