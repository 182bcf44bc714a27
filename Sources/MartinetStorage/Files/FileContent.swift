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

/// The lines of a content, one after the other.
package struct FileLines {
    private let content: FileContent
    private let maximum: Int
    private var offset = 0
    private var pending: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    private var number = 0

    /// A line.
    package struct Line: Sendable, Hashable {
        /// Its number, from 1.
        package var number: Int
        /// Its bytes without its end; `nil` where it is longer than a line may be.
        package var bytes: [UInt8]?
    }

    /// Reads from the beginning.
    ///
    /// - Parameter maximum: most bytes of a line.
    package init(_ content: FileContent, maximum: Int) {
        self.content = content
        self.maximum = maximum
    }

    /// The next line that holds more than spaces; `nil` at the end. It waits for the disk.
    package mutating func next() throws(StorageError) -> Line? {
        var isTooLong = false
        var searched = position
        while true {
            if let end = pending[searched...].firstIndex(of: 0x0A) {
                defer { position = end + 1 }
                if let line = line(upTo: end, isTooLong) { return line }
                (isTooLong, searched) = (false, end + 1)
                continue
            }
            guard !isAtEnd else {
                guard position < pending.count || isTooLong else { return nil }
                defer { position = pending.count }
                return line(upTo: pending.count, isTooLong)
            }
            // What is longer than a line may be is passed over without being held.
            if pending.count - position > maximum {
                isTooLong = true
                position = pending.count
            }
            pending.removeFirst(position)
            position = 0
            searched = pending.count
            let bytes = try content.read(at: offset, count: 256 << 10)
            offset += bytes.count
            isAtEnd = bytes.isEmpty
            pending.append(contentsOf: bytes)
        }
    }

    /// The line that ends here; `nil` where it is blank.
    private mutating func line(upTo end: Int, _ isTooLong: Bool) -> Line? {
        number += 1
        guard !isTooLong, end - position <= maximum else { return Line(number: number, bytes: nil) }
        var bytes = pending[position..<end]
        // Some editors begin a file with a mark of its encoding.
        if number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        if bytes.last == 0x0D { bytes = bytes.dropLast() }
        guard bytes.contains(where: { $0 != 0x20 && $0 != 0x09 }) else { return nil }
        return Line(number: number, bytes: Array(bytes))
    }
}
