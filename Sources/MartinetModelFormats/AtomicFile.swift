#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file that appears under its name when it is whole, or not at all.
///
/// The bytes go to `.NAME.partial` beside it, which is renamed once it is on disk. A partial file that a stopped process
/// left is written over; one that another process is writing is not.
package final class AtomicFile {
    /// The name it gets in the end.
    package let path: String
    /// Bytes written so far.
    package private(set) var count = 0
    private let partial: String
    private let replaces: Bool
    private var descriptor: Int32

    /// Opens the partial file.
    ///
    /// - Parameter replaces: whether a file of the name may be there already.
    /// - Throws: ``ModelFileError`` with `exists` or `unwritable`.
    package init(path: String, replaces: Bool) throws(ModelFileError) {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw ModelFileError(
                    .unwritable, file: path, "is there and is not a regular file; name a file to write")
            }
            guard replaces else { throw Self.exists(path) }
        }
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) } ?? path.startIndex
        guard slash < path.endIndex else {
            throw ModelFileError(.unwritable, file: path, "is a folder; name a file to write")
        }
        self.path = path
        self.replaces = replaces
        partial = path[..<slash] + "." + path[slash...] + ".partial"
        descriptor = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
        guard descriptor >= 0 else {
            throw ModelFileError(.unwritable, file: path, "cannot be created: \(Self.reason)")
        }
        // Whoever had the lock before may have renamed the file meanwhile; then it is no longer ours to cut.
        var (opened, named) = (stat(), stat())
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &opened) == 0, stat(partial, &named) == 0,
            opened.st_ino == named.st_ino, opened.st_dev == named.st_dev
        else {
            close(descriptor)
            descriptor = -1
            throw ModelFileError(.unwritable, file: path, "is being written by another process")
        }
        guard ftruncate(descriptor, 0) == 0 else {
            throw ModelFileError(.unwritable, file: path, "cannot be written: \(Self.reason)")
        }
    }

    deinit {
        guard descriptor >= 0 else { return }
        unlink(partial)
        close(descriptor)
    }

    /// Appends bytes.
    ///
    /// - Throws: ``ModelFileError`` with `unwritable`: most often the disk is full.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(ModelFileError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            #if canImport(Glibc)
                let count = Glibc.write(descriptor, part.baseAddress, part.count)
            #elseif canImport(Musl)
                let count = Musl.write(descriptor, part.baseAddress, part.count)
            #else
                let count = Darwin.write(descriptor, part.baseAddress, part.count)
            #endif
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw ModelFileError(.unwritable, file: path, "cannot be written: \(Self.reason)")
            }
            rest = rest.dropFirst(count)
            self.count += count
        }
    }

    /// Puts the file on disk and gives it its name.
    ///
    /// - Throws: ``ModelFileError`` with `unwritable`, or `exists` where such a file has come meanwhile.
    package func commit() throws(ModelFileError) {
        guard fsync(descriptor) == 0 else {
            throw ModelFileError(.unwritable, file: path, "cannot be put on disk: \(Self.reason)")
        }
        var status = stat()
        guard replaces || stat(path, &status) != 0 else { throw Self.exists(path) }
        guard rename(partial, path) == 0 else {
            throw ModelFileError(.unwritable, file: path, "cannot be given its name: \(Self.reason)")
        }
        close(descriptor)
        descriptor = -1
        // The name itself is on disk once its folder is.
        let slash = path.lastIndex(of: "/")
        let folder = open(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".", O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }

    private static func exists(_ path: String) -> ModelFileError {
        ModelFileError(.exists, file: path, "is there already; give another name, or --force to replace it")
    }

    private static var reason: String { String(cString: strerror(errno)) }
}
