import Hummingbird
import NIOCore
import Synchronization

/// Counts what a server could write.
final class Written: Sendable {
    private let bytes = Mutex(0)
    var count: Int { bytes.withLock { $0 } }

    /// Writes the same part until the connection is gone.
    func endless(_ part: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream"],
            body: .init { writer in
                while !Task.isCancelled {
                    try await writer.write(ByteBuffer(string: part))
                    self.bytes.withLock { $0 += part.utf8.count }
                }
            })
    }
}
