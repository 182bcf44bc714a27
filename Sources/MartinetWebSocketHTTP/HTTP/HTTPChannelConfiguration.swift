package import NIOCore

/// What connections may do and how long they may take.
package struct HTTPChannelConfiguration: Sendable {
    /// Most bytes of a request's head: all header fields together.
    package var maxHeaderBytes = 64 << 10
    /// How long the first request's head may take, the handshake of TLS included.
    package var headTimeout = TimeAmount.seconds(30)
    /// How long a body may take beside what ``minBodyRate`` gives it.
    package var bodyTimeout = TimeAmount.seconds(30)
    /// Bytes a second that a body must come with on average once ``bodyTimeout`` is over.
    package var minBodyRate = 1024
    /// How long a connection may rest between two requests.
    package var idleTimeout = TimeAmount.seconds(75)
    /// Counts connections.
    package var limit = ConnectionLimit(10_000)
    /// Encrypts connections; plain ones where it is absent.
    package var certificates: ServerCertificates?
    /// Takes WebSocket connections.
    package var webSocket: WebSocketEndpoint?
    /// The content type and body of an answer to a request that is no HTTP, or too much of it, by status and message.
    package var errorBody: @Sendable (_ status: Int, _ message: String) -> (contentType: String, body: [UInt8]) = {
        ("text/plain", Array("\($1)\n".utf8))
    }

    /// Everything at its default.
    package init() {}
}

/// A body that did not come in time.
package struct RequestTimeout: Error, CustomStringConvertible {
    /// What happened.
    package var description: String { "the body came too slowly" }
}
