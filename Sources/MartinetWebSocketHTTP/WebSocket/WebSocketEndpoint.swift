package import NIOCore
package import NIOHTTP1

/// Where WebSockets are taken, and by whom.
package struct WebSocketEndpoint: Sendable {
    /// The path, without a query.
    package var path: String
    /// Most bytes of a message.
    package var maxMessageBytes: Int
    /// How often a client is asked whether it is still there; one that says nothing for three times as long is gone.
    package var pingInterval = TimeAmount.seconds(20)
    /// How long a connection may go without a message in either direction.
    package var idleTimeout = TimeAmount.seconds(600)
    /// Whether pages of an origin may connect, told the origin and the request's host.
    package var allows: @Sendable (_ origin: String, _ host: String?) -> Bool
    /// Serves a connection until it returns; the connection is closed then.
    package var handle: @Sendable (WebSocketConnection) async -> Void

    /// Describes an endpoint.
    package init(
        path: String, maxMessageBytes: Int, allows: @escaping @Sendable (_ origin: String, _ host: String?) -> Bool,
        handle: @escaping @Sendable (WebSocketConnection) async -> Void
    ) {
        self.path = path
        self.maxMessageBytes = maxMessageBytes
        self.allows = allows
        self.handle = handle
    }

    /// The headers with which a request becomes a WebSocket; `nil` where it does not.
    func upgrade(_ head: HTTPRequestHead) -> HTTPHeaders? {
        guard head.uri.prefix(while: { $0 != "?" }) == path, head.version == .http1_1 else { return nil }
        let handshake = try? WebSocketHandshake(
            method: head.method.rawValue, field: { head.headers[$0] }, allows: allows)
        guard let handshake else { return nil }
        return ["upgrade": "websocket", "connection": "upgrade", "sec-websocket-accept": handshake.accept]
    }
}

/// What comes from a WebSocket.
package enum WebSocketEvent: Sendable {
    /// A message of UTF-8 text.
    case text(ByteBuffer)
    /// The server ends: finish what is under way, then return.
    case shouldEnd
}

/// What goes to a WebSocket.
package enum WebSocketOutput: Sendable {
    /// A message of UTF-8 text.
    case text(ByteBuffer)
    /// The end; nothing can follow.
    case close(WebSocketCloseCode, String)
}

/// An open WebSocket.
package struct WebSocketConnection: Sendable {
    /// The request that opened it.
    package let head: HTTPRequestHead
    /// The channel below.
    package let channel: any Channel
    /// What is known of the connection; its monitor tells when the client leaves.
    package let facts: ConnectionFacts
    /// What the client sends; it ends when the client closes.
    package let inbound: NIOAsyncChannelInboundStream<WebSocketEvent>
    /// Takes what the client is to get; writing waits while the client does not read.
    package let outbound: NIOAsyncChannelOutboundWriter<WebSocketOutput>
}
