package import NIOCore
package import NIOWebSocket

/// Turns a client's frames into messages and says what each calls for (RFC 6455, sections 5 and 7), without any I/O.
package struct WebSocketFrameMachine {
    /// What a frame calls for.
    package enum Action: Equatable {
        /// Nothing.
        case nothing
        /// A whole message of text.
        case message(ByteBuffer)
        /// A ping to answer with the same bytes.
        case pong(ByteBuffer)
        /// The client closes; what to answer with.
        case close(WebSocketCloseCode?)
        /// The client broke the rules.
        case fail(WebSocketCloseCode, String)
    }

    /// Most bytes of a message.
    package let maxMessageBytes: Int
    private var partial: ByteBuffer?

    /// A connection without a message under way.
    package init(maxMessageBytes: Int) {
        self.maxMessageBytes = maxMessageBytes
    }

    /// Takes a frame as it came, masked.
    package mutating func receive(_ frame: WebSocketFrame) -> Action {
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
            return .fail(.protocolError, "reserved bits are set, but no extension was agreed on")
        }
        guard frame.maskKey != nil else { return .fail(.protocolError, "frames of a client must be masked") }
        let data = frame.unmaskedData
        if frame.opcode.isControlOpcode, !frame.fin || data.readableBytes > 125 {
            return .fail(.protocolError, "control frames must be whole and have at most 125 bytes")
        }
        switch frame.opcode {
        case .ping: return .pong(data)
        case .pong: return .nothing
        case .connectionClose: return close(data)
        case .text:
            guard partial == nil else { return .fail(.protocolError, "a message began before the last one ended") }
            return add(data, isLast: frame.fin)
        case .continuation:
            guard partial != nil else { return .fail(.protocolError, "there is no message to continue") }
            return add(data, isLast: frame.fin)
        case .binary: return .fail(.unsupportedData, "messages must be text")
        default: return .fail(.protocolError, "the frame's opcode is not known")
        }
    }

    private mutating func add(_ data: ByteBuffer, isLast: Bool) -> Action {
        var data = data
        var whole = partial ?? ByteBuffer()
        guard whole.readableBytes + data.readableBytes <= maxMessageBytes else {
            return .fail(.messageTooBig, "messages must have at most \(maxMessageBytes) bytes")
        }
        partial = nil
        if whole.readableBytes == 0 { whole = data } else { whole.writeBuffer(&data) }
        guard isLast else {
            partial = whole
            return .nothing
        }
        let isText = whole.readableBytesView.withContiguousStorageIfAvailable {
            String(validating: $0, as: UTF8.self) != nil
        }
        guard isText ?? true else { return .fail(.invalidText, "text must be UTF-8") }
        return .message(whole)
    }

    private func close(_ data: ByteBuffer) -> Action {
        guard data.readableBytes > 0 else { return .close(nil) }
        guard let code = data.getInteger(at: data.readerIndex, as: UInt16.self) else {
            return .fail(.protocolError, "a close frame must hold a code of two bytes")
        }
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: return .fail(.protocolError, "the close frame's code is not one to send")
        }
        let reason = data.readableBytesView.dropFirst(2)
        guard String(validating: reason, as: UTF8.self) != nil else {
            return .fail(.invalidText, "the reason must be UTF-8")
        }
        return .close(WebSocketCloseCode(rawValue: code))
    }
}

/// Why a WebSocket is closed (RFC 6455, section 7.4).
package struct WebSocketCloseCode: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    package var rawValue: UInt16

    /// A code of any number.
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// All is said.
    package static let normal = Self(rawValue: 1000)
    /// The server ends, or the client rested for too long.
    package static let goingAway = Self(rawValue: 1001)
    /// The client broke the protocol.
    package static let protocolError = Self(rawValue: 1002)
    /// The client sent binary data.
    package static let unsupportedData = Self(rawValue: 1003)
    /// The client sent text that is not UTF-8.
    package static let invalidText = Self(rawValue: 1007)
    /// The client broke a rule of this server's own.
    package static let policyViolation = Self(rawValue: 1008)
    /// The client sent too large a message.
    package static let messageTooBig = Self(rawValue: 1009)
}
