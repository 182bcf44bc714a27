internal import NIOCore
internal import Synchronization

/// Requests that wait for a place at a busy member, first come first served.
final class WaitingQueue: Sendable {
    /// Why a wait ended.
    enum End: Sendable {
        /// A place may be free.
        case woken
        case timedOut
        /// Too many wait already.
        case full
    }

    private struct Waiter {
        var number: Int
        var continuation: CheckedContinuation<End, Never>
    }

    private struct State {
        var waiters: [Waiter] = []
        var next = 0
        /// Goes up with each place that became free.
        var generation = 0
    }

    private let state = Mutex(State())
    private let maximum: Int

    init(maximum: Int) {
        self.maximum = maximum
    }

    /// Changes whenever a place becomes free; to be read before looking for one.
    var generation: Int { state.withLock { $0.generation } }
    /// How many wait.
    var count: Int { state.withLock { $0.waiters.count } }

    /// A place became free, or a member came: the first that waits looks again.
    func wakeOne() {
        let waiter = state.withLock { state -> Waiter? in
            state.generation &+= 1
            return state.waiters.isEmpty ? nil : state.waiters.removeFirst()
        }
        waiter?.continuation.resume(returning: .woken)
    }

    /// Waits for a place.
    ///
    /// - Parameters:
    ///   - generation: what ``generation`` was before no place was found; where it has changed nobody waits.
    ///   - isFirst: whether it has waited before and keeps its turn.
    ///   - loop: where the timer runs.
    func wait(
        since generation: Int, isFirst: Bool, until deadline: NIODeadline, on loop: any EventLoop
    ) async -> End {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        let timer = loop.scheduleTask(deadline: deadline) { self.leave(number) }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let end = state.withLock { state -> End? in
                    if Task.isCancelled || deadline <= .now() { return .timedOut }
                    if state.generation != generation { return .woken }
                    if state.waiters.count >= maximum { return .full }
                    let waiter = Waiter(number: number, continuation: continuation)
                    if isFirst { state.waiters.insert(waiter, at: 0) } else { state.waiters.append(waiter) }
                    return nil
                }
                if let end { continuation.resume(returning: end) }
            }
        } onCancel: {
            leave(number)
        }
    }

    private func leave(_ number: Int) {
        let waiter = state.withLock { state -> Waiter? in
            guard let place = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
            return state.waiters.remove(at: place)
        }
        waiter?.continuation.resume(returning: .timedOut)
    }
}
