internal import NIOCore
internal import Synchronization

/// Tells who works for a client that the client has left: of a connection, or of one stream of an HTTP/2 connection.
package final class ConnectionMonitor: Sendable {
    private struct State {
        var isClosed = false
        var nextID = 0
        var observers: [Int: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())

    /// A monitor of a client that is there.
    package init() {}

    /// Runs the action when the client leaves, or now where it has; returns what ``remove(_:)`` takes.
    package func onClose(_ action: @escaping @Sendable () -> Void) -> Int {
        let id: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.observers[state.nextID] = action
            return state.nextID
        }
        if id == nil { action() }
        return id ?? 0
    }

    /// Forgets an action.
    package func remove(_ id: Int) {
        state.withLock { _ = $0.observers.removeValue(forKey: id) }
    }

    /// Says that the client has left.
    package func close() {
        let observers = state.withLock { state in
            state.isClosed = true
            defer { state.observers = [:] }
            return state.observers.values.map(\.self)
        }
        for observer in observers { observer() }
    }
}

/// Sits in the pipeline of a connection, or of a stream of one, and hears that the client closed its side.
///
/// A client that only half-closes counts as gone: no client of a slow answer does so while it waits, and a client that
/// was killed looks just like it. (The end of an HTTP/2 request is no such event.)
final class DisconnectHandler: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    let monitor = ConnectionMonitor()

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { monitor.close() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        monitor.close()
        context.fireChannelInactive()
    }
}
