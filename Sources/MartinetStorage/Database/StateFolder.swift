#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// The folder of all that outlives the process. One process has it; the lock goes with the process, however that ends.
final class StateFolder: Sendable {
    let path: String
    var database: String { path + "/martinet.db" }
    var files: String { path + "/files" }
    private let lock: Int32

    /// Makes what is missing of the folder and takes it.
    ///
    /// - Throws: ``StorageError`` with `inUse` where another process has it, or `unusable`.
    init(_ path: String) throws(StorageError) {
        self.path = path
        // Nobody but this user reads what clients sent.
        var made = ""
        for part in (path + "/files").split(separator: "/", omittingEmptySubsequences: false) {
            made += made.isEmpty && !path.hasPrefix("/") ? String(part) : "/" + part
            guard !part.isEmpty, mkdir(made, 0o700) != 0, errno != EEXIST else { continue }
            throw StorageError(.unusable, "The folder \(made) cannot be made: \(Self.reason). Name another one.")
        }
        let name = path + "/lock"
        lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw StorageError(
                .unusable,
                "The folder \(path) cannot be written: \(Self.reason). Give this user the right, or name another."
            )
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw StorageError(
                .inUse, "Another server has the folder \(path). End it, or give this one a folder of its own.")
        }
    }

    deinit { close(lock) }

    /// What the system says of its last error.
    static var reason: String { String(cString: strerror(errno)) }
}
