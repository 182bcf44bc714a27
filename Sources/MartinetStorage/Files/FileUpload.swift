#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif
internal import Synchronization

/// Content that is being written. It becomes a file when ``FileStore/add(_:as:)`` takes it, and is gone when nobody holds
/// it any more.
package final class FileUpload: Sendable {
    private struct State {
        var descriptor: Int32
        var pending: [UInt8] = []
        var count = 0
        var isKept = false
    }

    /// How much is written at once.
    private static let chunkBytes = 256 << 10

    let path: String
    private let state: Mutex<State>
    private let space: FileSpace
    private let maximum: Int

    /// - Parameter maximum: most bytes that it may have.
    init(path: String, space: FileSpace, maximum: Int) throws(StorageError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("\(path) cannot be made") }
        self.path = path
        self.space = space
        self.maximum = maximum
        state = Mutex(State(descriptor: descriptor))
    }

    deinit {
        let (descriptor, count, isKept) = state.withLock { ($0.descriptor, $0.count, $0.isKept) }
        if descriptor >= 0 { close(descriptor) }
        guard !isKept else { return }
        unlink(path)
        space.give(count)
    }

    /// Bytes so far.
    package var count: Int { state.withLock(\.count) }

    /// Appends content. One task at a time may write.
    ///
    /// - Throws: ``StorageError`` with `fileTooLarge`, `full` or `unusable`.
    package func write(_ bytes: some Collection<UInt8> & Sendable) async throws(StorageError) {
        let (fits, isDue) = state.withLock { state in
            guard bytes.count <= maximum - state.count else { return (false, false) }
            return (true, state.pending.count + bytes.count >= Self.chunkBytes)
        }
        guard fits else {
            throw StorageError(.fileTooLarge, "A file may have at most \(maximum) bytes.")
        }
        try space.take(bytes.count)
        state.withLock { state in
            state.count += bytes.count
            state.pending.append(contentsOf: bytes)
        }
        guard isDue else { return }
        try await onFileThread { [self] () throws(StorageError) in try flush() }
    }

    private func flush() throws(StorageError) {
        let (descriptor, bytes) = state.withLock { state in
            defer { state.pending = [] }
            return (state.descriptor, state.pending)
        }
        var position = 0
        while position < bytes.count {
            let written = bytes.withUnsafeBytes {
                Self.put(descriptor, UnsafeRawBufferPointer(rebasing: $0[position...]))
            }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw Self.failure("\(path) cannot be written") }
            position += written
        }
    }

    private static func put(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
            Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }

    /// Puts the content on disk under its name. From then on it stays.
    func keep(as name: String) throws(StorageError) {
        try flush()
        let descriptor = state.withLock(\.descriptor)
        guard fsync(descriptor) == 0, rename(path, name) == 0 else {
            throw Self.failure("\(name) cannot be put on disk")
        }
        state.withLock { state in
            state.isKept = true
            close(state.descriptor)
            state.descriptor = -1
        }
        // The name itself is on disk once its folder is.
        let folder = open(name.lastIndex(of: "/").map { String(name[..<$0]) } ?? ".", O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    private static func failure(_ problem: String) -> StorageError {
        let isFull = errno == ENOSPC || errno == EDQUOT
        return StorageError(
            isFull ? .full : .unusable,
            "\(problem): \(StateFolder.reason).\(isFull ? " Make room on the disk and try again." : "")")
    }
}
