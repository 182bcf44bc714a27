internal import NIOCore
internal import NIOHTTP1

/// Looks at a connection's first request: one that may become a WebSocket does, every other goes the way of HTTP.
///
/// An `Upgrade` that is not understood is no error (RFC 9110, section 7.8): such a request is answered as if the field
/// were not there. NIO's own upgrade handler would swallow it.
final class FirstRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    struct Steps {
        /// The headers of the answer where a request may become a WebSocket.
        var upgrade: (HTTPRequestHead) -> HTTPHeaders?
        /// Adds the handlers of HTTP.
        var http: () throws -> Void
        /// Takes HTTP's handlers away; those of WebSocket can be added then.
        var leaveHTTP: () -> EventLoopFuture<Void>
        /// Adds the handlers of WebSocket.
        var webSocket: (HTTPRequestHead) throws -> Void
        /// Hears that there will be neither.
        var fail: (any Error) -> Void
    }

    private enum State {
        case waiting
        /// A request to upgrade whose end has not come.
        case upgrading(HTTPRequestHead, HTTPHeaders)
        /// HTTP's handlers are on their way out; what comes is WebSocket's.
        case leaving([NIOAny])
        case done
    }

    private let steps: Steps
    private var state = State.waiting

    init(_ steps: Steps) {
        self.steps = steps
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if case .done = state { return }
        state = .done
        steps.fail(ChannelError.ioOnClosedChannel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .waiting:
            guard case .head(let head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
            if let headers = steps.upgrade(head) {
                state = .upgrading(head, headers)
            } else {
                perform(context) { try steps.http() }
                context.fireChannelRead(data)
                context.pipeline.syncOperations.removeHandler(self, promise: nil)
            }
        case .upgrading(let head, let headers):
            switch unwrapInboundIn(data) {
            case .end: upgrade(head, headers, context)
            // A request to upgrade has no body.
            case .head, .body: context.close(promise: nil)
            }
        case .leaving(var later):
            state = .done
            later.append(data)
            state = .leaving(later)
        case .done: context.fireChannelRead(data)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .done = state { return context.fireUserInboundEventTriggered(event) }
        switch event {
        // Those who would hear it are not here yet.
        case is ChannelShouldQuiesceEvent, ChannelEvent.inputClosed: context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .done = state { return context.fireErrorCaught(error) }
        context.close(promise: nil)
    }

    private func upgrade(_ head: HTTPRequestHead, _ headers: HTTPHeaders, _ context: ChannelHandlerContext) {
        state = .leaving([])
        let answer = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
        context.write(wrapOutboundOut(.head(answer)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        steps.leaveHTTP().assumeIsolated().whenComplete { [self] result in
            guard case .leaving(let later) = state else { return }
            guard case .success = result else { return context.close(promise: nil) }
            perform(context) { try steps.webSocket(head) }
            for data in later { context.fireChannelRead(data) }
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    private func perform(_ context: ChannelHandlerContext, _ step: () throws -> Void) {
        state = .done
        do {
            try step()
        } catch {
            steps.fail(error)
            context.close(promise: nil)
        }
    }
}
