import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A client that sends bytes as it likes and sees bytes as they come.
final class RawConnection: Sendable {
    private final class Sink: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let state = Mutex((bytes: [UInt8](), isClosed: false))

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            state.withLock { $0.bytes.append(contentsOf: buffer.readableBytesView) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed? = event as? ChannelEvent { state.withLock { $0.isClosed = true } }
        }

        func channelInactive(context: ChannelHandlerContext) { state.withLock { $0.isClosed = true } }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let channel: any Channel
    private let sink: Sink

    private init(_ channel: any Channel, _ sink: Sink) {
        self.channel = channel
        self.sink = sink
    }

    static func connect(port: Int) async throws -> RawConnection {
        let sink = Sink()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { $0.pipeline.addHandler(sink) }
            .connect(host: "127.0.0.1", port: port).get()
        return RawConnection(channel, sink)
    }

    static func connect(path: String) async throws -> RawConnection {
        let sink = Sink()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { $0.pipeline.addHandler(sink) }
            .connect(unixDomainSocketPath: path).get()
        return RawConnection(channel, sink)
    }

    var bytes: [UInt8] { sink.state.withLock(\.bytes) }
    var text: String { String(decoding: bytes, as: UTF8.self) }
    var isClosed: Bool { sink.state.withLock(\.isClosed) }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }
    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

    /// A request with a body of JSON.
    func post(_ path: String, _ body: String, headers: String = "") async throws {
        try await send(
            "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\(headers)"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    func close() async { try? await channel.close().get() }

    /// Waits for something to become true.
    func wait(_ what: Comment, _ condition: (RawConnection) -> Bool) async throws {
        try await eventually(what) { condition(self) }
    }
}

/// Waits for something to become true; the limit is for machines that are very busy.
func eventually(_ what: Comment, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record(what)
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
