internal import NIOCore
internal import NIOTLS

/// Finds out which protocol a new connection speaks, by TLS's negotiation or by its first bytes, and makes the pipeline
/// for it. A connection that does not say in time is closed.
final class ProtocolHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Choice {
        case http1
        case http2
    }

    /// What every connection of HTTP/2 begins with (RFC 9113, section 3.4).
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let isSecure: Bool
    private let timeout: TimeAmount
    private let configure: (Choice, any Channel) throws -> Void
    private let fail: (any Error) -> Void
    private var bytes = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var isDone = false

    /// - Parameters:
    ///   - configure: adds the protocol's handlers behind this one.
    ///   - fail: hears that there will be no protocol; called once, and never after `configure`.
    init(
        isSecure: Bool, timeout: TimeAmount, configure: @escaping (Choice, any Channel) throws -> Void,
        fail: @escaping (any Error) -> Void
    ) {
        self.isSecure = isSecure
        self.timeout = timeout
        self.configure = configure
        self.fail = fail
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        guard !isDone else { return }
        isDone = true
        fail(ChannelError.ioOnClosedChannel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.fireChannelRead(data) }
        var part = unwrapInboundIn(data)
        bytes.writeBuffer(&part)
        // What comes before the handshake's end would be no part of it.
        guard !isSecure else { return }
        let start = bytes.readableBytesView.prefix(Self.preface.count)
        if !Self.preface.starts(with: start) {
            finish(.http1, context)
        } else if start.count == Self.preface.count {
            finish(.http2, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case TLSUserEvent.handshakeCompleted(let negotiated):
            finish(negotiated == "h2" ? .http2 : .http1, context)
        case is ChannelShouldQuiesceEvent, ChannelEvent.inputClosed:
            if !isDone { return context.close(promise: nil) }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isDone else { return context.fireErrorCaught(error) }
        // A handshake that failed.
        context.close(promise: nil)
    }

    private func finish(_ choice: Choice, _ context: ChannelHandlerContext) {
        guard !isDone else { return }
        isDone = true
        do {
            try configure(choice, context.channel)
        } catch {
            fail(error)
            return context.close(promise: nil)
        }
        if bytes.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(bytes))
            context.fireChannelReadComplete()
        }
        bytes = ByteBuffer()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
