internal import NIOCore
internal import NIOHTTP2

/// Ends a connection of HTTP/2 in order: when it rests, and when the server ends. It says so (GOAWAY), lets streams that
/// are open end, and closes.
final class HTTP2ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame
    typealias InboundOut = HTTP2Frame
    typealias OutboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let idleTimeout: TimeAmount
    private var open: Set<HTTP2StreamID> = []
    private var last = HTTP2StreamID.rootStream
    private var timer: Scheduled<Void>?
    private var isClosing = false
    /// How long streams that the client began before it heard of the end may still come.
    private static let crossing = TimeAmount.milliseconds(200)

    init(idleTimeout: TimeAmount) {
        self.idleTimeout = idleTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) { rest(context) }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as NIOHTTP2StreamCreatedEvent:
            open.insert(event.streamID)
            last = max(last, event.streamID)
            if !isClosing {
                timer?.cancel()
                timer = nil
            }
        case let event as StreamClosedEvent:
            open.remove(event.streamID)
            guard open.isEmpty else { break }
            if !isClosing { rest(context) } else if timer == nil { context.close(promise: nil) }
        case is ChannelShouldQuiesceEvent: end(context)
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // An error of one stream is that stream's own affair.
        if error is NIOHTTP2Errors.StreamError { return }
        context.close(promise: nil)
    }

    private func rest(_ context: ChannelHandlerContext) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: idleTimeout) { [self] in end(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        goAway(.maxID, context)
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.crossing) { [self] in
            timer = nil
            goAway(last, context)
            if open.isEmpty { context.close(promise: nil) }
        }
    }

    private func goAway(_ id: HTTP2StreamID, _ context: ChannelHandlerContext) {
        let frame = HTTP2Frame(
            streamID: .rootStream, payload: .goAway(lastStreamID: id, errorCode: .noError, opaqueData: nil))
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }
}
