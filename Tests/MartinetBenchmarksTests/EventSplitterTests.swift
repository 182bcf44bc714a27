import MartinetBenchmarks
import Testing

@Suite struct EventSplitterTests {
    /// The data of the events in `text`, cut into chunks of `size` bytes.
    private func events(_ text: String, size: Int, limit: Int = 1 << 20) throws -> [String] {
        var splitter = EventSplitter(limit: limit)
        var events: [String] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            try Array(bytes[start..<min(start + size, bytes.count)]).withUnsafeBytes {
                try splitter.append($0) { events.append(String(decoding: $0, as: UTF8.self)) }
            }
        }
        try splitter.finish { events.append(String(decoding: $0, as: UTF8.self)) }
        return events
    }

    @Test(arguments: [
        ("data: a\n\ndata: b\n\n", ["a", "b"]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        ("data: a\r\rdata: b\r\r", ["a", "b"]),
        ("data:a\n\n", ["a"]),
        ("data:  a \n\n", [" a "]),
        ("data: a\ndata: b\n\n", ["a\nb"]),
        (": ping\nevent: x\nid: 1\ndata: a\nretry: 3\n\n", ["a"]),
        ("data\n\n", [""]),
        ("database: a\n\n", []),
        ("\n\n\n: only a comment\n\n", []),
        ("data: a\n", ["a"]),
        ("data: a", ["a"]),
        ("", []),
    ])
    func splits(text: String, expected: [String]) throws {
        for size in 1...max(1, text.utf8.count) {
            #expect(try events(text, size: size) == expected, "\(size) bytes at once")
        }
    }

    @Test func boundsLinesAndEvents() throws {
        let line = "data: " + String(repeating: "x", count: 50)
        #expect(try events(line + "\n\n", size: 7, limit: 100).count == 1)
        #expect(throws: EventSplitter.TooLong.self) { try events(line + "\n\n", size: 7, limit: 40) }
        let many = String(repeating: line + "\n", count: 3)
        #expect(throws: EventSplitter.TooLong.self) { try events(many + "\n", size: 1000, limit: 100) }
    }
}
