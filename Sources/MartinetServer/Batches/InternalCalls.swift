internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import Synchronization

/// Asks the server's own routes, as a client would, without a connection.
package struct InternalCalls: Sendable {
    /// What a route answered.
    package struct Answer: Sendable {
        package var status: Int
        package var body: [UInt8]
        /// Seconds after which a retry makes sense.
        package var retryAfter: Int?

        package init(status: Int, body: [UInt8], retryAfter: Int? = nil) {
            self.status = status
            self.body = body
            self.retryAfter = retryAfter
        }
    }

    let responder: any HTTPResponder<MartinetContext>
    let logger: Logger

    /// Posts JSON to a route and waits for its whole answer. Cancelling the task ends the work for it.
    ///
    /// - Parameters:
    ///   - requestID: names the request in log and answer.
    ///   - priority: smaller runs first; what the body says of it does not count.
    func post(_ path: String, _ body: [UInt8], requestID: String, priority: Int) async throws -> Answer {
        let head = HTTPRequest(
            method: .post, scheme: nil, authority: nil, path: path,
            headerFields: [.contentType: "application/json", .requestID: requestID])
        let context = MartinetContext(logger: logger, priority: priority)
        let response = try await responder.respond(
            to: Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: body))), context: context)
        let collected = Collected()
        try await response.body.write(CollectingWriter(collected: collected))
        return Answer(
            status: Int(response.status.code), body: collected.bytes.withLock(\.self),
            retryAfter: response.headers[.retryAfter].flatMap { Int($0) })
    }
}

private final class Collected: Sendable {
    let bytes = Mutex<[UInt8]>([])
}

private struct CollectingWriter: ResponseBodyWriter {
    let collected: Collected

    mutating func write(_ buffer: ByteBuffer) async throws {
        collected.bytes.withLock { $0.append(contentsOf: buffer.readableBytesView) }
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
