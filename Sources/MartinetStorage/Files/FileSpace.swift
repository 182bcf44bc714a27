internal import Synchronization

/// The bytes that files take, those being written included.
final class FileSpace: Sendable {
    private let used = Mutex(0)
    private let maximum: Int

    init(maximum: Int) {
        self.maximum = maximum
    }

    var bytes: Int { used.withLock(\.self) }

    /// Counts what is there already, whatever the bound.
    func add(_ count: Int) { used.withLock { $0 += count } }

    /// Takes room for more.
    ///
    /// - Throws: ``StorageError`` with `full`.
    func take(_ count: Int) throws(StorageError) {
        let fits = used.withLock { used in
            guard used <= maximum - count else { return false }
            used += count
            return true
        }
        guard fits else {
            throw StorageError(
                .full,
                "Files may take \(maximum) bytes here, and no \(count) more are left. Delete files and try again.")
        }
    }

    func give(_ count: Int) { used.withLock { $0 -= count } }
}
