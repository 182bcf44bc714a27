/// Takes a stream of server-sent events apart: the data of each, one line or several, without comments and other fields.
public struct ServerSentEventSplitter: Sendable {
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false

    /// A splitter at the beginning of a stream.
    public init() {}

    /// Adds bytes of the stream; gives the data of the events that they complete.
    public mutating func add(_ bytes: some Sequence<UInt8>) -> [[UInt8]] {
        var events: [[UInt8]] = []
        for byte in bytes {
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            if line.isEmpty {
                if hasData { events.append(data) }
                data = []
                hasData = false
            } else if line.starts(with: Self.field) {
                if hasData { data.append(UInt8(ascii: "\n")) }
                let rest = line.dropFirst(Self.field.count)
                data.append(contentsOf: rest.first == UInt8(ascii: " ") ? rest.dropFirst() : rest)
                hasData = true
            }
            line.removeAll(keepingCapacity: true)
        }
        return events
    }

    private static let field = Array("data:".utf8)
}
