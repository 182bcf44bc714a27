/// The lines of a content, one after the other.
package struct FileLines {
    private static let chunkBytes = 256 << 10

    private let content: FileContent
    private let maximum: Int
    private var offset = 0
    private var pending: [UInt8] = []
    /// Where the next line begins, and up to where its end was looked for.
    private var position = 0
    private var searched = 0
    private var isTooLong = false
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
        while true {
            if let line = nextAtHand() { return line }
            guard !isAtEnd else {
                guard position < pending.count || isTooLong else { return nil }
                defer { position = pending.count }
                return line(upTo: pending.count)
            }
            // What is longer than a line may be is passed over without being held.
            if pending.count - position > maximum {
                isTooLong = true
                position = pending.count
            }
            pending.removeFirst(position)
            position = 0
            searched = pending.count
            let bytes = try content.read(at: offset, count: Self.chunkBytes)
            offset += bytes.count
            isAtEnd = bytes.isEmpty
            pending.append(contentsOf: bytes)
        }
    }

    /// The next line, where it was read already.
    package mutating func nextAtHand() -> Line? {
        while let end = pending[searched...].firstIndex(of: 0x0A) {
            let line = line(upTo: end)
            position = end + 1
            searched = position
            if let line { return line }
        }
        searched = pending.count
        return nil
    }

    /// The line that ends here; `nil` where it is blank.
    private mutating func line(upTo end: Int) -> Line? {
        number += 1
        defer { isTooLong = false }
        guard !isTooLong, end - position <= maximum else { return Line(number: number, bytes: nil) }
        var bytes = pending[position..<end]
        // Some editors begin a file with a mark of its encoding.
        if number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        if bytes.last == 0x0D { bytes = bytes.dropLast() }
        guard bytes.contains(where: { $0 != 0x20 && $0 != 0x09 }) else { return nil }
        return Line(number: number, bytes: Array(bytes))
    }
}
