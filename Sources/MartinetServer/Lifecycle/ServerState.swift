internal import Foundation
internal import MartinetAPI
internal import MartinetModels
internal import Synchronization

/// Whether the server takes work, and how much it has.
final class ServerState: Sendable {
    private struct State {
        var isReady = false
        var isDraining = false
        var generations = 0
        var hasAnswered = false
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
        let (waiters, isFirst) = state.withLock { state in
            state.generations -= 1
            let isFirst = !state.hasAnswered
            state.hasAnswered = true
            guard state.generations == 0 else { return ([CheckedContinuation<Void, Never>](), isFirst) }
            defer { state.idleWaiters = [] }
            return (state.idleWaiters, isFirst)
        }
        for waiter in waiters { waiter.resume() }
        // The first answer looks up types in all of the program; later ones find what it found.
        if isFirst { DispatchQueue.global(qos: .utility).async { StartupMemory.release() } }
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
