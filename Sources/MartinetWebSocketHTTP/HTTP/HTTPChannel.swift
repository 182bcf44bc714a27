internal import HTTPTypes
package import HummingbirdCore
package import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOHTTP2
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
internal import NIOHTTPTypesHTTP2
internal import NIOSSL
internal import NIOWebSocket

/// A server's connections: HTTP/1.1, HTTP/2 and WebSocket on one port, plain or encrypted.
///
/// With TLS the protocol is what its negotiation says; without, HTTP/2 is told by the bytes it begins with. A request to
/// ``HTTPChannelConfiguration/webSocket`` becomes a WebSocket. Everything else goes to the responder.
package struct HTTPChannel: HTTPChannelHandler {
    typealias HTTPConnection = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    /// One request of a connection of HTTP/2.
    struct Stream: Sendable {
        let http: UnservedChannel<HTTPRequestPart, HTTPResponsePart>
        let monitor: ConnectionMonitor
    }

    enum Connection: Sendable {
        case http1(UnservedChannel<HTTPRequestPart, HTTPResponsePart>, ConnectionFacts)
        case http2(NIOHTTP2Handler.AsyncStreamMultiplexer<Stream>, ConnectionFacts)
        case webSocket(HTTPRequestHead, UnservedChannel<WebSocketEvent, WebSocketOutput>, ConnectionFacts)
    }

    /// A connection that will say which protocol it speaks.
    package struct Value: ServerChildChannelValue {
        /// The channel.
        package let channel: any Channel
        let connection: EventLoopFuture<Connection>
    }

    /// Answers requests.
    package let responder: Responder
    private let configuration: HTTPChannelConfiguration

    /// Serves requests with a responder.
    package init(_ configuration: HTTPChannelConfiguration, responder: @escaping Responder) {
        self.configuration = configuration
        self.responder = responder
    }

    /// Makes a new connection's pipeline.
    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let promise = channel.eventLoop.makePromise(of: Connection.self)
        let limit = configuration.limit
        let mayEnter = limit.enter()
        channel.closeFuture.whenComplete { _ in limit.leave() }
        return channel.eventLoop.makeCompletedFuture {
            guard mayEnter else {
                promise.fail(TooManyConnections())
                try channel.pipeline.syncOperations.addHandler(RefusalHandler(bytes: refusal))
                return
            }
            if let certificates = configuration.certificates {
                try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: certificates.context))
            }
            try channel.pipeline.syncOperations.addHandler(
                ProtocolHandler(
                    isSecure: configuration.certificates != nil, timeout: configuration.headTimeout,
                    configure: { choice, channel in
                        switch choice {
                        case .http1: try addHTTP1(to: channel, promise)
                        case .http2: try addHTTP2(to: channel, promise)
                        }
                    }, fail: { promise.fail($0) }))
        }.map { Value(channel: channel, connection: promise.futureResult) }
    }

    /// What a connection is told that is one too many; nothing where it expects to be encrypted.
    private var refusal: [UInt8] {
        guard configuration.certificates == nil else { return [] }
        let (contentType, body) = configuration.errorBody(503, "The server has as many connections as it may have.")
        let head =
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: \(contentType)\r\ncontent-length: \(body.count)\r\n"
            + "retry-after: 1\r\nconnection: close\r\n\r\n"
        return Array(head.utf8) + body
    }

    private func facts(
        _ channel: any Channel, _ monitor: ConnectionMonitor, _ protocolName: String
    ) -> ConnectionFacts {
        let handler = try? channel.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self)
        let asksForCertificate = configuration.certificates?.files.clientAuthorities != nil
        return ConnectionFacts(
            monitor: monitor, protocolName: protocolName, remoteAddress: channel.remoteAddress?.ipAddress ?? "",
            isSecure: configuration.certificates != nil,
            clientNames: asksForCertificate ? handler?.peerCertificate.map(ServerCertificates.names) ?? [] : [])
    }

    // MARK: HTTP/1.1

    private func addHTTP1(to channel: any Channel, _ promise: EventLoopPromise<Connection>) throws {
        let pipeline = channel.pipeline.syncOperations
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = configuration.maxHeaderBytes
        limits.maxHeaderListSize = configuration.maxHeaderBytes
        let encoder = HTTPResponseEncoder()
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
        let times = HTTP1ConnectionHandler(configuration)
        try pipeline.addHandlers([encoder, decoder, times])
        guard let endpoint = configuration.webSocket else { return try addRequests(to: channel, promise) }
        try pipeline.addHandler(
            FirstRequestHandler(
                .init(
                    upgrade: { endpoint.upgrade($0) },
                    http: { try addRequests(to: channel, promise) },
                    leaveHTTP: {
                        let pipeline = channel.pipeline.syncOperations
                        return EventLoopFuture.andAllSucceed(
                            [
                                pipeline.removeHandler(times), pipeline.removeHandler(encoder),
                                pipeline.removeHandler(decoder),
                            ], on: channel.eventLoop)
                    },
                    webSocket: { try addWebSocket(endpoint, head: $0, to: channel, promise) },
                    fail: { promise.fail($0) })))
    }

    private func addRequests(to channel: any Channel, _ promise: EventLoopPromise<Connection>) throws {
        let pipeline = channel.pipeline.syncOperations
        let disconnect = DisconnectHandler()
        try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: configuration.certificates != nil))
        try pipeline.addHandler(disconnect)
        let http = try HTTPConnection(
            wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        promise.succeed(.http1(UnservedChannel(http), facts(channel, disconnect.monitor, "HTTP/1.1")))
    }

    // MARK: HTTP/2

    private func addHTTP2(to channel: any Channel, _ promise: EventLoopPromise<Connection>) throws {
        var http2 = NIOHTTP2Handler.Configuration()
        http2.connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: 256),
            HTTP2Setting(parameter: .maxHeaderListSize, value: configuration.maxHeaderBytes),
        ]
        let multiplexer = try channel.pipeline.syncOperations.configureAsyncHTTP2Pipeline(
            mode: .server, configuration: http2
        ) { [configuration] stream in
            stream.eventLoop.makeCompletedFuture {
                let pipeline = stream.pipeline.syncOperations
                let disconnect = DisconnectHandler()
                try pipeline.addHandler(HTTP2FramePayloadToHTTPServerCodec())
                try pipeline.addHandler(StreamTimeHandler(configuration))
                try pipeline.addHandler(disconnect)
                return Stream(
                    http: UnservedChannel(try HTTPConnection(wrappingChannelSynchronously: stream)),
                    monitor: disconnect.monitor)
            }
        }
        try channel.pipeline.syncOperations.addHandler(
            HTTP2ConnectionHandler(idleTimeout: configuration.idleTimeout))
        // Each stream gets a monitor of its own in place of this one.
        promise.succeed(.http2(multiplexer, facts(channel, ConnectionMonitor(), "HTTP/2")))
    }

    // MARK: WebSocket

    private func addWebSocket(
        _ endpoint: WebSocketEndpoint, head: HTTPRequestHead, to channel: any Channel,
        _ promise: EventLoopPromise<Connection>
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        let disconnect = DisconnectHandler()
        try pipeline.addHandler(disconnect)
        try pipeline.addHandler(WebSocketFrameEncoder())
        try pipeline.addHandler(
            ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: min(endpoint.maxMessageBytes, 1 << 30))))
        try pipeline.addHandler(WebSocketHandler(endpoint))
        let webSocket = try NIOAsyncChannel<WebSocketEvent, WebSocketOutput>(
            wrappingChannelSynchronously: channel,
            // Messages are large: what waits to be taken is kept short.
            configuration: .init(backPressureStrategy: .init(lowWatermark: 1, highWatermark: 2)))
        promise.succeed(.webSocket(head, UnservedChannel(webSocket), facts(channel, disconnect.monitor, "WebSocket")))
    }

    // MARK: Serving

    /// Serves a connection to its end.
    package func handle(value: Value, logger: Logger) async {
        let connection: Connection
        do {
            connection = try await withTaskCancellationHandler {
                try await value.connection.get()
            } onCancel: {
                value.channel.close(promise: nil)
            }
        } catch {
            return logger.debug("a connection ended before it spoke a protocol", metadata: ["error": "\(error)"])
        }
        switch connection {
        case .http1(let http, let facts):
            await ConnectionFacts.$current.withValue(facts) {
                await handleHTTP(asyncChannel: http.take(), logger: logger)
            }
        case .http2(let multiplexer, let facts): await handle(multiplexer, facts, logger)
        case .webSocket(let head, let webSocket, let facts): await handle(webSocket.take(), head, facts, logger)
        }
    }

    private func handle(
        _ multiplexer: NIOHTTP2Handler.AsyncStreamMultiplexer<Stream>, _ facts: ConnectionFacts, _ logger: Logger
    ) async {
        do {
            try await withThrowingDiscardingTaskGroup { group in
                for try await stream in multiplexer.inbound {
                    group.addTask {
                        var facts = facts
                        facts.monitor = stream.monitor
                        await ConnectionFacts.$current.withValue(facts) {
                            await handleHTTP(asyncChannel: stream.http.take(), logger: logger)
                        }
                    }
                }
            }
        } catch {
            logger.debug("a connection of HTTP/2 broke", metadata: ["error": "\(error)"])
        }
    }

    private func handle(
        _ webSocket: NIOAsyncChannel<WebSocketEvent, WebSocketOutput>, _ head: HTTPRequestHead,
        _ facts: ConnectionFacts, _ logger: Logger
    ) async {
        guard let endpoint = configuration.webSocket else { return }
        do {
            try await withTaskCancellationHandler {
                try await webSocket.executeThenClose { inbound, outbound in
                    await endpoint.handle(
                        WebSocketConnection(
                            head: head, channel: webSocket.channel, facts: facts, inbound: inbound,
                            outbound: outbound))
                    // The close frame has been written; the client answers it, or does not.
                    try await webSocket.channel.closeFuture.get()
                }
            } onCancel: {
                webSocket.channel.close(promise: nil)
            }
        } catch {
            logger.debug("a WebSocket broke", metadata: ["error": "\(error)"])
        }
    }
}

/// A connection beyond the limit.
private struct TooManyConnections: Error {}

/// Says that there is no room, and closes.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let bytes: [UInt8]

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    func channelActive(context: ChannelHandlerContext) {
        if !bytes.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
        context.close(promise: nil)
    }
}
