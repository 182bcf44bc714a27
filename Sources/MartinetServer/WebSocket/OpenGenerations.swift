internal import MartinetWebSocketHTTP
internal import Synchronization

/// The generations of one socket that are under way, by the client's ids.
final class OpenGenerations: Sendable {
    enum Entry {
        case entered(ConnectionMonitor)
        case exists
        case full
    }

    private struct State {
        var monitors: [String: ConnectionMonitor] = [:]
        var hasLeft = false
    }

    private let maximum: Int
    private let state = Mutex(State())

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// Begins a generation; its monitor tells when it is to end.
    func enter(_ id: String) -> Entry {
        let (entry, isLate): (Entry, Bool) = state.withLock { state in
            guard state.monitors[id] == nil else { return (.exists, false) }
            guard state.monitors.count < maximum else { return (.full, false) }
            let monitor = ConnectionMonitor()
            state.monitors[id] = monitor
            return (.entered(monitor), state.hasLeft)
        }
        if isLate, case .entered(let monitor) = entry { monitor.close() }
        return entry
    }

    func leave(_ id: String) {
        state.withLock { _ = $0.monitors.removeValue(forKey: id) }
    }

    /// Ends a generation; false where there is none of the id.
    func cancel(_ id: String) -> Bool {
        guard let monitor = state.withLock({ $0.monitors[id] }) else { return false }
        monitor.close()
        return true
    }

    /// Ends all: the client has left.
    func cancelAll() {
        let monitors = state.withLock { state in
            state.hasLeft = true
            return Array(state.monitors.values)
        }
        for monitor in monitors { monitor.close() }
    }
}
