internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetWebSocketHTTP
internal import NIOCore
internal import Synchronization

/// What became of a generation's stream.
final class SocketStreamEnd: Sendable {
    private let state = Mutex((isWhole: false, hasFailed: false))

    /// Whether the stream came to its end.
    var isWhole: Bool { state.withLock(\.isWhole) }
    /// Whether an error broke it off; the client has it.
    var hasFailed: Bool { state.withLock(\.hasFailed) }

    func markWhole() { state.withLock { $0.isWhole = true } }
    func markFailed() { state.withLock { $0.hasFailed = true } }
}

/// Takes a route's stream of server-sent events and sends each as a message.
struct SocketWriter: ResponseBodyWriter {
    let outbound: NIOAsyncChannelOutboundWriter<WebSocketOutput>
    let answer: SocketAnswer
    let end: SocketStreamEnd
    private var splitter = ServerSentEventSplitter()

    init(
        _ outbound: NIOAsyncChannelOutboundWriter<WebSocketOutput>, answer: SocketAnswer, end: SocketStreamEnd
    ) {
        self.outbound = outbound
        self.answer = answer
        self.end = end
    }

    /// Waits while the client does not read.
    mutating func write(_ buffer: ByteBuffer) async throws {
        var messages: [WebSocketOutput] = []
        for data in splitter.add(buffer.readableBytesView) where data != Self.done {
            if data.starts(with: Self.error) {
                end.markFailed()
                messages.append(.text(ByteBuffer(bytes: answer.failed(status: nil, body: data))))
            } else {
                messages.append(.text(ByteBuffer(bytes: answer.delta(data[...]))))
            }
        }
        if !messages.isEmpty { try await outbound.write(contentsOf: messages) }
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws { end.markWhole() }

    private static let done = Array("[DONE]".utf8)
    private static let error = Array("{\"error\"".utf8)
}
