public import MartinetTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file mapped into memory, read-only, for as long as the object lives.
///
/// Pages are read from disk when they are touched and shared with every process that maps the same file. The mapping
/// keeps working when the file is renamed or deleted; a file that is *shortened* while it is mapped stops the process,
/// which is why downloads are written beside the final name and renamed.
public final class MappedFile: @unchecked Sendable {
    // Sendable holds because the mapping is read-only and lives until `deinit`.

    /// The path it was opened by.
    public let path: String
    /// The file's bytes; empty for an empty file.
    public let bytes: UnsafeRawBufferPointer

    /// Opens and maps a regular file.
    ///
    /// - Throws: ``ModelFileError`` with `notFound` or `unreadable`.
    public init(path: String) throws(ModelFileError) {
        self.path = path
        // O_NONBLOCK: opening a named pipe must not wait for a writer; it does not matter for regular files.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let reason = errno
            if reason == ENOENT || reason == ENOTDIR {
                throw ModelFileError(.notFound, file: path, "no such file")
            }
            throw ModelFileError(.unreadable, file: path, "cannot be opened: \(String(cString: strerror(reason)))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw ModelFileError(.unreadable, file: path, "cannot be examined: \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ModelFileError(.unreadable, file: path, "is not a regular file")
        }
        guard let count = Int(exactly: status.st_size), count >= 0 else {
            throw ModelFileError(.unreadable, file: path, "is too large for this machine's address space")
        }
        guard count > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw ModelFileError(.unreadable, file: path, "cannot be mapped: \(String(cString: strerror(errno)))")
        }
        bytes = UnsafeRawBufferPointer(start: address, count: count)
    }

    deinit {
        if let address = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
        }
    }

    /// Bytes in the file.
    public var count: Int { bytes.count }
}

extension MappedFile: PageReleasing {
    /// Drops the pages that `range` touches; they are read from the file again when they are.
    public func releasePages(_ range: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, let first = range.baseAddress, first >= base,
            first + range.count <= base + bytes.count
        else { return }
        let page = sysconf(Int32(_SC_PAGESIZE))
        let start = Int(bitPattern: first) / page * page
        let end = (Int(bitPattern: first + range.count) + page - 1) / page * page
        guard start < end, let address = UnsafeMutableRawPointer(bitPattern: start) else { return }
        // A read-only private mapping of a file: what is dropped is read from the file again.
        _ = madvise(address, end - start, Int32(MADV_DONTNEED))
    }
}
