package import NIOCore

/// Knows when a connection of HTTP/1.1 has waited long enough for its client.
package struct RequestClock {
    let headTimeout: TimeAmount
    let bodyTimeout: TimeAmount
    let minBodyRate: Int
    let idleTimeout: TimeAmount

    /// Requests whose head was read and whose answer is not written yet.
    private(set) var open = 0
    /// Whether a body is being read.
    private(set) var isReadingBody = false
    /// Whether the next answer is the last.
    private(set) var closesAfterAnswer = false
    private var since: NIODeadline
    private var isFirst = true
    private var bodyBytes = 0

    /// A connection that begins now.
    package init(
        headTimeout: TimeAmount, bodyTimeout: TimeAmount, minBodyRate: Int, idleTimeout: TimeAmount, now: NIODeadline
    ) {
        self.headTimeout = headTimeout
        self.bodyTimeout = bodyTimeout
        self.minBodyRate = max(1, minBodyRate)
        self.idleTimeout = idleTimeout
        since = now
    }

    /// When the client's time is over; `nil` while it waits for us.
    package var deadline: NIODeadline? {
        if isReadingBody {
            return since + bodyTimeout + .seconds(Int64(bodyBytes / minBodyRate))
        }
        guard open == 0 else { return nil }
        return since + (isFirst ? headTimeout : idleTimeout)
    }

    /// A request begins.
    package mutating func readHead(isKeepAlive: Bool, now: NIODeadline) {
        open += 1
        isReadingBody = true
        isFirst = false
        since = now
        bodyBytes = 0
        if !isKeepAlive { closesAfterAnswer = true }
    }

    /// A part of its body came.
    package mutating func readBody(_ count: Int) { bodyBytes += count }

    /// Its body is whole.
    package mutating func readEnd() { isReadingBody = false }

    /// The answer is that there will be no more HTTP.
    package mutating func upgrade() { closesAfterAnswer = false }

    /// An answer is written; returns whether to close.
    package mutating func writtenEnd(now: NIODeadline) -> Bool {
        open = max(0, open - 1)
        if !isReadingBody { since = now }
        return closesAfterAnswer && open == 0
    }

    /// The server ends; returns whether to close now.
    package mutating func quiesce() -> Bool {
        closesAfterAnswer = true
        return open == 0
    }
}
