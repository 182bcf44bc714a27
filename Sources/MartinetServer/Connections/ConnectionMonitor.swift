internal import NIOCore
internal import Synchronization

/// Tells who works for a connection's client that the client has left.
final class ConnectionMonitor: Sendable {
    private struct State {
        var isClosed = false
        var nextID = 0
        var observers: [Int: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())

    /// Runs the action when the client leaves, or now where it has; returns what ``remove(_:)`` takes.
    func onClose(_ action: @escaping @Sendable () -> Void) -> Int {
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
    func remove(_ id: Int) {
        state.withLock { _ = $0.observers.removeValue(forKey: id) }
    }

    func close() {
        let observers = state.withLock { state in
            state.isClosed = true
            defer { state.observers = [:] }
            return state.observers.values.map(\.self)
        }
        for observer in observers { observer() }
    }
}

/// Sits in each connection's pipeline and hears that the client closed its side.
///
/// A client that only half-closes counts as gone: no client of language models does so while it waits, and a client that
/// was killed looks just like it.
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

extension Channel {
    /// The connection's monitor; absent on channels of tests that have no connection.
    func connectionMonitor() async -> ConnectionMonitor? {
        try? await pipeline.handler(type: DisconnectHandler.self).map(\.monitor).get()
    }
}
