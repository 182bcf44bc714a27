internal import Synchronization

/// Tells a worker's server when an engine's step has ended. It stands between both, since each needs the other first.
package final class StepSignal: Sendable {
    private let listener = Mutex<(@Sendable () -> Void)?>(nil)

    package init() {}

    /// Says that a step's events are all published: what an engine's `stepEnded` calls.
    package func stepEnded() {
        listener.withLock { $0 }?()
    }

    func listen(_ body: @escaping @Sendable () -> Void) {
        listener.withLock { $0 = body }
    }
}
