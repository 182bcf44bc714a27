/// Cuts a stream of bytes into the data of server-sent events (WHATWG HTML, "Parsing an event stream").
///
/// Chunks may end anywhere. Fields other than `data` and comments are left out.
public struct EventSplitter: Sendable {
    /// An event or a line is longer than the limit.
    public struct TooLong: Error, Sendable {}

    private let limit: Int
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var endedWithReturn = false

    /// Allows events and lines of at most `limit` bytes.
    public init(limit: Int = 1 << 20) { self.limit = limit }

    /// Takes bytes and hands out the data of each event that they complete.
    public mutating func append(
        _ bytes: UnsafeRawBufferPointer, _ body: ([UInt8]) -> Void
    ) throws(TooLong) {
        var start = 0
        for (index, byte) in bytes.enumerated() where byte == 0x0A || byte == 0x0D {
            // A line feed right after a carriage return belongs to it, also where a chunk ends between them.
            let isSecondHalf = byte == 0x0A && endedWithReturn && start == index
            if !isSecondHalf {
                try take(bytes[start..<index])
                try endLine(body)
            }
            endedWithReturn = byte == 0x0D
            start = index + 1
        }
        if start < bytes.count {
            endedWithReturn = false
            try take(bytes[start...])
        }
    }

    /// Hands out what an end without a blank line left behind: some servers end so.
    public mutating func finish(_ body: ([UInt8]) -> Void) throws(TooLong) {
        try endLine(body)
        try endLine(body)
    }

    private mutating func take(_ bytes: Slice<UnsafeRawBufferPointer>) throws(TooLong) {
        guard line.count + bytes.count <= limit else { throw TooLong() }
        line.append(contentsOf: bytes)
    }

    private mutating func endLine(_ body: ([UInt8]) -> Void) throws(TooLong) {
        defer { line.removeAll(keepingCapacity: true) }
        if line.isEmpty {
            guard hasData else { return }
            body(data)
            data = []
            hasData = false
        } else if line.starts(with: "data".utf8), line.count == 4 || line[4] == UInt8(ascii: ":") {
            var value = line.dropFirst(5)
            if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
            guard data.count + value.count < limit else { throw TooLong() }
            if hasData { data.append(0x0A) }
            data.append(contentsOf: value)
            hasData = true
        }
    }
}
