#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A lock between processes on one model's name; it goes with the process, however that ends.
final class StoreLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock or fails at once.
    init(path: String, name: String) throws(DownloadError) {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw DownloadError(.storage, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw DownloadError(.busy, "another pull of '\(name)' is running; wait for it to end")
        }
    }

    deinit { close(descriptor) }
}
