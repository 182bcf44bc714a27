internal import NIOCore
internal import NIOWebSocket

/// Speaks WebSocket with a client: gives whole messages on, answers pings, asks silent clients whether they are there, and
/// closes as the protocol says.
final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = WebSocketEvent
    typealias OutboundIn = WebSocketOutput
    typealias OutboundOut = WebSocketFrame

    private var machine: WebSocketFrameMachine
    private let pingInterval: TimeAmount
    private let idleTimeout: TimeAmount
    private var lastRead = NIODeadline.now()
    private var lastMessage = NIODeadline.now()
    private var timer: RepeatedTask?
    private var isClosing = false
    /// How long a client has to answer a close frame.
    private static let closeTimeout = TimeAmount.seconds(2)

    init(_ endpoint: WebSocketEndpoint) {
        machine = WebSocketFrameMachine(maxMessageBytes: endpoint.maxMessageBytes)
        pingInterval = endpoint.pingInterval
        idleTimeout = endpoint.idleTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((handler: self, context: context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleRepeatedTask(initialDelay: pingInterval, delay: pingInterval) { _ in
            bound.value.handler.tick(bound.value.context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    private func tick(_ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        // A client that does not even answer pings is gone; nobody has told us.
        guard now - lastRead < pingInterval * 3 else { return context.close(promise: nil) }
        guard now - lastMessage < idleTimeout else { return close(.goingAway, "nothing was said for long", context) }
        // One that does not read what it got would pile up pings.
        guard !isClosing, context.channel.isWritable else { return }
        send(.ping, ByteBuffer(), context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastRead = .now()
        let frame = unwrapInboundIn(data)
        guard !isClosing else {
            if frame.opcode == .connectionClose { context.close(promise: nil) }
            return
        }
        switch machine.receive(frame) {
        case .nothing: break
        case .message(let text):
            lastMessage = lastRead
            context.fireChannelRead(wrapInboundOut(.text(text)))
        case .pong(let data):
            // Only the last ping needs an answer: a client that reads none gets none.
            if context.channel.isWritable { send(.pong, data, context) }
        case .close(let code):
            isClosing = true
            var data = ByteBuffer()
            if let code { data.writeInteger(code.rawValue) }
            send(.connectionClose, data, context)
            context.close(promise: nil)
        case .fail(let code, let reason): close(code, reason, context)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .text(let text):
            guard !isClosing else {
                promise?.fail(ChannelError.outputClosed)
                return
            }
            lastMessage = .now()
            context.write(
                wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: text)), promise: promise)
        case .close(let code, let reason):
            close(code, reason, context)
            promise?.succeed()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            context.fireChannelRead(wrapInboundOut(.shouldEnd))
            // What is read is handed over with this.
            context.fireChannelReadComplete()
        // There is no half of a WebSocket.
        case ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? NIOWebSocketError else {
            context.fireErrorCaught(error)
            return context.close(promise: nil)
        }
        switch error {
        case .invalidFrameLength:
            close(.messageTooBig, "messages must have at most \(machine.maxMessageBytes) bytes", context)
        default: close(.protocolError, "the frame is not valid", context)
        }
    }

    private func close(_ code: WebSocketCloseCode, _ reason: String, _ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        var data = ByteBuffer(integer: code.rawValue)
        // A control frame has at most 125 bytes, and our reasons are plain ASCII.
        data.writeBytes(reason.utf8.prefix(123))
        send(.connectionClose, data, context)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.closeTimeout) { context.close(promise: nil) }
    }

    private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: data)), promise: nil)
    }
}
