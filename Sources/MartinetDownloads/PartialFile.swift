import FoundationEssentials
import MartinetModelFormats

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The bytes of an unfinished download (`NAME.partial`) and what they belong to (`NAME.partial.json`).
struct PartialFile {
    /// What the bytes belong to: enough to ask the server for the rest of the very same file.
    struct Origin: Codable, Equatable {
        /// The address that was asked.
        var url: String
        /// The strong entity tag or date that the server gave.
        var validator: String?
        /// The whole file's size, where known.
        var total: Int?
    }

    let path: String
    var partialPath: String { path + ".partial" }
    var originPath: String { path + ".partial.json" }

    /// Bytes that are on disk and what they belong to, or `nil` where a download must start at the beginning.
    ///
    /// - Parameter isPinned: whether a digest will prove the whole file; then no entity tag is needed to go on.
    func resumable(url: String, isPinned: Bool) -> (origin: Origin, count: Int)? {
        guard let data = FileManager.default.contents(atPath: originPath), data.count < 65_536,
            let origin = try? JSONDecoder().decode(Origin.self, from: data), origin.url == url,
            isPinned || origin.validator != nil,
            let size = try? FileManager.default.attributesOfItem(atPath: partialPath)[.size] as? Int, size > 0
        else { return nil }
        return (origin, size)
    }

    func record(_ origin: Origin) throws(DownloadError) {
        do {
            try JSONEncoder().encode(origin).write(to: URL(filePath: originPath), options: .atomic)
        } catch {
            throw DownloadError(.storage, "\(originPath) cannot be written: \(error)")
        }
    }

    func remove() {
        unlink(partialPath)
        unlink(originPath)
    }

    /// Gives the finished file its name, after its bytes are on the disk.
    func finish() throws(DownloadError) {
        guard rename(partialPath, path) == 0 else {
            throw DownloadError(.storage, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        unlink(originPath)
    }

    /// An open file to append to.
    final class Writer {
        private let path: String
        private let descriptor: Int32
        private(set) var count: Int

        /// Opens the partial file, keeping its first `count` bytes.
        init(_ file: PartialFile, keeping count: Int) throws(DownloadError) {
            path = file.partialPath
            self.count = count
            descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0, ftruncate(descriptor, off_t(count)) == 0,
                lseek(descriptor, off_t(count), SEEK_SET) >= 0
            else {
                let reason = String(cString: strerror(errno))
                if descriptor >= 0 { close(descriptor) }
                throw DownloadError(.storage, "\(path) cannot be written: \(reason)")
            }
        }

        deinit { close(descriptor) }

        func append(_ bytes: UnsafeRawBufferPointer) throws(DownloadError) {
            var rest = bytes
            while !rest.isEmpty {
                let written = write(descriptor, rest.baseAddress, rest.count)
                if written < 0 {
                    if errno == EINTR { continue }
                    throw Self.failure(path, errno)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
                count += written
            }
        }

        func synchronize() throws(DownloadError) {
            guard fsync(descriptor) == 0 else { throw Self.failure(path, errno) }
        }

        private static func failure(_ path: String, _ reason: Int32) -> DownloadError {
            if reason == ENOSPC || reason == EDQUOT {
                return DownloadError(
                    .storage, "the disk is full while writing \(path); free some space and pull again, it will resume")
            }
            return DownloadError(.storage, "\(path) cannot be written: \(String(cString: strerror(reason)))")
        }
    }

    /// Fails early where the disk cannot hold what is still to come.
    func checkSpace(for bytes: Int) throws(DownloadError) {
        var status = statvfs()
        guard statvfs(path.folder, &status) == 0 else { return }
        let (free, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        guard !overflow, free < UInt64(max(0, bytes)) else { return }
        throw DownloadError(
            .storage, "\(bytes) more bytes are needed, but the disk of \(path) has only \(free) free")
    }
}

extension String {
    /// The path without its last component.
    var folder: String {
        guard let slash = lastIndex(of: "/") else { return "." }
        return slash == startIndex ? "/" : String(self[..<slash])
    }

    /// The last component of the path.
    var lastComponent: String {
        guard let slash = lastIndex(of: "/") else { return self }
        return String(self[index(after: slash)...])
    }
}
