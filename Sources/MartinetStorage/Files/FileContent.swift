#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// The content of a file, open to be read; it stays readable when the file is deleted meanwhile.
package final class FileContent: Sendable {
    private let descriptor: Int32
    private let path: String

    init(path: String) throws(StorageError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw StorageError(.unusable, "\(path) cannot be read: \(StateFolder.reason).")
        }
    }

    deinit { close(descriptor) }

    /// The bytes from an offset on, at most `count`; empty at the end. It waits for the disk: call it on a thread that may.
    package func read(at offset: Int, count: Int) throws(StorageError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var result: Int
            repeat {
                result = pread(descriptor, buffer.baseAddress, count, off_t(offset))
            } while result < 0 && errno == EINTR
            failed = result < 0
            filled = max(0, result)
        }
        guard !failed else { throw StorageError(.unusable, "\(path) cannot be read: \(StateFolder.reason).") }
        return bytes
    }
}
