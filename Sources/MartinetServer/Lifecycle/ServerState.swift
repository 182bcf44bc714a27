internal import MartinetAPI
internal import Synchronization

/// Whether the server takes work, and how much it has.
final class ServerState: Sendable {
    private struct State {
        var isReady = false
        var isDraining = false
        var generations = 0
        var idleWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Whether start-up ended.
    var isReady: Bool { state.withLock(\.isReady) }
    /// Whether the server ends and takes no more work.
    var isDraining: Bool { state.withLock(\.isDraining) }
    /// Requests that generate at this moment.
    var generations: Int { state.withLock(\.generations) }

    func markReady() { state.withLock { $0.isReady = true } }
    func beginDraining() { state.withLock { $0.isDraining = true } }

    /// Counts a request in; pair with ``endGeneration()``.
    func beginGeneration() throws(APIError) {
        let isDraining = state.withLock { state in
            if !state.isDraining { state.generations += 1 }
            return state.isDraining
        }
        guard !isDraining else {
            throw APIError(
                status: 503, "The server is shutting down and takes no more requests.",
                type: "service_unavailable_error", code: "draining", retryAfter: 5)
        }
    }

    func endGeneration() {
        let waiters = state.withLock { state in
            state.generations -= 1
            guard state.generations == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.idleWaiters = [] }
            return state.idleWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns when no request generates.
    func waitUntilIdle() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.generations > 0 { state.idleWaiters.append(continuation) }
                return state.generations == 0
            }
            if isIdle { continuation.resume() }
        }
    }
}
