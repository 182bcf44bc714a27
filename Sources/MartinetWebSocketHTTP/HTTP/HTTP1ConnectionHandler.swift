internal import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes

/// Keeps a connection of HTTP/1.1 within its times, answers what is no HTTP, and ends the connection when its last answer
/// is written.
final class HTTP1ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let configuration: HTTPChannelConfiguration
    private var clock: RequestClock
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture
    private var isBroken = false

    init(_ configuration: HTTPChannelConfiguration) {
        self.configuration = configuration
        clock = RequestClock(
            headTimeout: configuration.headTimeout, bodyTimeout: configuration.bodyTimeout,
            minBodyRate: configuration.minBodyRate, idleTimeout: configuration.idleTimeout, now: .now())
    }

    func handlerAdded(context: ChannelHandlerContext) { schedule(context) }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isBroken else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // The parser reads nothing behind a request to upgrade; where there is no upgrade, this is the last.
            let isLast = !head.isKeepAlive || head.headers.contains(name: "upgrade")
            clock.readHead(isKeepAlive: !isLast, now: .now())
            // The client waits for this word; without it a large body comes a second later.
            if head.version == .http1_1, clock.open == 1, head.headers["expect"].first?.lowercased() == "100-continue" {
                context.writeAndFlush(
                    wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
            }
            schedule(context)
        case .body(let bytes): clock.readBody(bytes.readableBytes)
        case .end: clock.readEnd()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status == .switchingProtocols:
            clock.upgrade()
            context.write(data, promise: promise)
        case .head(var head) where clock.closesAfterAnswer && clock.open <= 1:
            head.headers.replaceOrAdd(name: "connection", value: "close")
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            guard clock.writtenEnd(now: .now()) else {
                context.write(data, promise: promise)
                return schedule(context)
            }
            context.writeAndFlush(data, promise: promise)
            context.close(promise: nil)
        default: context.write(data, promise: promise)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            // An idle client has nothing to lose.
            if clock.quiesce() { context.close(promise: nil) }
            return
        }
        if case ChannelEvent.inputClosed? = event as? ChannelEvent, clock.open == 0 {
            return context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError, clock.open == 0, !isBroken else {
            return context.fireErrorCaught(error)
        }
        isBroken = true
        switch error {
        case .headerOverflow:
            answer(
                431, "The request's head must have at most \(configuration.maxHeaderBytes) bytes.", context: context)
        default: answer(400, "This is not valid HTTP: \(error).", context: context)
        }
    }

    /// Answers where no request reached anybody else, and closes.
    private func answer(_ status: Int, _ message: String, context: ChannelHandlerContext) {
        let (contentType, body) = configuration.errorBody(status, message)
        let head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: status),
            headers: ["content-type": contentType, "content-length": "\(body.count)", "connection": "close"])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        // What the client still sends must be read, or the system throws the answer away with the connection.
        let bound = context.loopBound
        timer?.cancel()
        context.close(mode: .output, promise: nil)
        timer = context.eventLoop.scheduleTask(in: .seconds(1)) { bound.value.close(promise: nil) }
    }

    /// Sees to it that a timer runs which is no later than the deadline.
    private func schedule(_ context: ChannelHandlerContext) {
        guard let deadline = clock.deadline, timer == nil || deadline < timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            timer = nil
            expire(context)
        }
    }

    private func expire(_ context: ChannelHandlerContext) {
        guard let deadline = clock.deadline else { return }
        guard deadline <= .now() else { return schedule(context) }
        guard clock.isReadingBody else { return context.close(promise: nil) }
        // Who reads the body answers with 408; the connection ends with that.
        isBroken = true
        context.fireErrorCaught(RequestTimeout())
    }
}

/// Keeps the bodies of HTTP/2's requests within their time.
final class StreamTimeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private var clock: RequestClock
    private var timer: Scheduled<Void>?

    init(_ configuration: HTTPChannelConfiguration) {
        clock = RequestClock(
            headTimeout: configuration.headTimeout, bodyTimeout: configuration.bodyTimeout,
            minBodyRate: configuration.minBodyRate, idleTimeout: configuration.idleTimeout, now: .now())
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            clock.readHead(isKeepAlive: false, now: .now())
        case .body(let bytes):
            clock.readBody(bytes.readableBytes)
            schedule(context)
        case .end:
            clock.readEnd()
            timer?.cancel()
            timer = nil
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if clock.isReadingBody { schedule(context) }
        context.fireChannelReadComplete()
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    private func schedule(_ context: ChannelHandlerContext) {
        guard timer == nil, let deadline = clock.deadline else { return }
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            timer = nil
            guard clock.isReadingBody, let deadline = clock.deadline else { return }
            guard deadline <= .now() else { return schedule(context) }
            context.fireErrorCaught(RequestTimeout())
        }
    }
}
