internal import Synchronization

/// Runs an action when its last holder lets go, and tells it whether ``markWritten()`` was called.
final class Lease: Sendable {
    private let isWritten = Atomic<Bool>(false)
    private let action: @Sendable (Bool) -> Void

    init(_ action: @escaping @Sendable (Bool) -> Void) {
        self.action = action
    }

    func markWritten() { isWritten.store(true, ordering: .relaxed) }

    deinit { action(isWritten.load(ordering: .relaxed)) }
}
