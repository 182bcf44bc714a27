internal import NIOCore
internal import SwiftProtobuf

/// Takes messages out of the bytes of a ``DirectChannel``.
final class FrameHandler<Message: SwiftProtobuf.Message>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let maxBytes: Int
    private let receive: (Message) throws -> Void
    private let onEnd: (String?) -> Void
    private var bytes = ByteBuffer()
    private var isOver = false

    /// - Parameters:
    ///   - maxBytes: most bytes of a message; a longer one ends the connection.
    ///   - receive: takes a message, on the event loop; what it throws ends the connection.
    ///   - onEnd: runs once at the end, with the reason where it is our own.
    init(maxBytes: Int, receive: @escaping (Message) throws -> Void, onEnd: @escaping (String?) -> Void) {
        self.maxBytes = maxBytes
        self.receive = receive
        self.onEnd = onEnd
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        var part = unwrapInboundIn(data)
        if bytes.readableBytes == 0 { bytes = part } else { bytes.writeBuffer(&part) }
        do {
            while let message = try next() { try receive(message) }
        } catch let error as WorkerProtocolError {
            end(error.message, context)
        } catch {
            end("it sent what is no message (\(error))", context)
        }
        if bytes.readableBytes == 0 { bytes.clear() } else { bytes.discardReadBytes() }
    }

    private func next() throws -> Message? {
        guard let length = bytes.getInteger(at: bytes.readerIndex, endianness: .little, as: UInt32.self) else {
            return nil
        }
        guard Int(length) <= maxBytes else {
            throw WorkerProtocolError(
                .protocolViolation, "it sent a message of \(length) bytes where \(maxBytes) are the most")
        }
        guard bytes.readableBytes >= 4 + Int(length) else { return nil }
        bytes.moveReaderIndex(forwardBy: 4)
        guard let message = bytes.readBytes(length: Int(length)) else { return nil }
        return try Message(serializedBytes: message)
    }

    private func end(_ reason: String?, _ context: ChannelHandlerContext) {
        guard !isOver else { return }
        isOver = true
        onEnd(reason)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { end(nil, context) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { end("\(error)", context) }
}

extension SwiftProtobuf.Message {
    /// The message behind its length.
    func frame() throws -> [UInt8] {
        let bytes: [UInt8] = try serializedBytes()
        var frame: [UInt8] = []
        frame.reserveCapacity(4 + bytes.count)
        withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { frame += $0 }
        return frame + bytes
    }
}
