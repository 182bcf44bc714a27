import MartinetWebSocketHTTP
import NIOCore
import NIOWebSocket
import Testing

@Suite struct WebSocketFrameMachineTests {
    private func frame(
        _ opcode: WebSocketOpcode, _ bytes: [UInt8] = [], fin: Bool = true, masked: Bool = true
    ) -> WebSocketFrame {
        let key: WebSocketMaskingKey? = masked ? [1, 2, 3, 4] : nil
        var data = ByteBuffer(bytes: bytes)
        if let key { data.webSocketMask(key) }
        return WebSocketFrame(fin: fin, opcode: opcode, maskKey: key, data: data)
    }

    private func code(_ action: WebSocketFrameMachine.Action) -> UInt16? {
        if case .fail(let code, _) = action { code.rawValue } else { nil }
    }

    @Test func aMessageInOneFrame() {
        var machine = WebSocketFrameMachine(maxMessageBytes: 10)
        let action1 = machine.receive(frame(.text, Array("héllo".utf8)))
        #expect(action1 == .message(ByteBuffer(string: "héllo")))
        let action2 = machine.receive(frame(.text))
        #expect(action2 == .message(ByteBuffer()))
    }

    @Test func aMessageInPiecesWithAPingBetween() {
        var machine = WebSocketFrameMachine(maxMessageBytes: 10)
        let text = Array("héllo".utf8)
        // The cut goes through a character.
        let action3 = machine.receive(frame(.text, Array(text[..<2]), fin: false))
        #expect(action3 == .nothing)
        let action4 = machine.receive(frame(.ping, [7]))
        #expect(action4 == .pong(ByteBuffer(bytes: [7])))
        let action5 = machine.receive(frame(.continuation, [], fin: false))
        #expect(action5 == .nothing)
        let action6 = machine.receive(frame(.continuation, Array(text[2...])))
        #expect(action6 == .message(ByteBuffer(string: "héllo")))
        let action7 = machine.receive(frame(.text, [0x61]))
        #expect(action7 == .message(ByteBuffer(string: "a")))
    }

    @Test func tooLargeAMessage() {
        var machine = WebSocketFrameMachine(maxMessageBytes: 4)
        let action13 = machine.receive(frame(.text, [1, 2, 3, 4, 5]))
        #expect(code(action13) == 1009)
        machine = WebSocketFrameMachine(maxMessageBytes: 4)
        let action8 = machine.receive(frame(.text, [0x61, 0x61, 0x61], fin: false))
        #expect(action8 == .nothing)
        let action14 = machine.receive(frame(.continuation, [0x61, 0x61]))
        #expect(code(action14) == 1009)
    }

    @Test func brokenRules() {
        for (frames, expected) in [
            ([frame(.text, [0x61], masked: false)], 1002), ([frame(.continuation, [0x61])], 1002),
            ([frame(.text, fin: false), frame(.text)], 1002), ([frame(.binary, [1])], 1003),
            ([frame(.text, [0xFF])], 1007), ([frame(.text, [0xC3], fin: false), frame(.continuation, [0x28])], 1007),
            ([frame(.ping, [UInt8](repeating: 0, count: 126))], 1002), ([frame(.ping, fin: false)], 1002),
            ([frame(.connectionClose, [3])], 1002), ([frame(.connectionClose, [0, 1])], 1002),
            ([frame(.connectionClose, [3, 0xED])], 1002), ([frame(.connectionClose, [3, 0xE8, 0xFF])], 1007),
            ([frame(WebSocketOpcode(encodedWebSocketOpcode: 3)!)], 1002),
            ([WebSocketFrame(fin: true, rsv1: true, opcode: .text, maskKey: [0, 0, 0, 0], data: ByteBuffer())], 1002),
        ] as [([WebSocketFrame], UInt16)] {
            var machine = WebSocketFrameMachine(maxMessageBytes: 1000)
            var last = WebSocketFrameMachine.Action.nothing
            for frame in frames { last = machine.receive(frame) }
            #expect(code(last) == expected, "\(frames)")
        }
    }

    @Test func closing() {
        var machine = WebSocketFrameMachine(maxMessageBytes: 10)
        let action9 = machine.receive(frame(.connectionClose))
        #expect(action9 == .close(nil))
        let action10 = machine.receive(frame(.connectionClose, [3, 0xE8, 0x61]))
        #expect(action10 == .close(.normal))
        let action11 = machine.receive(frame(.connectionClose, [0x0F, 0xA0]))
        #expect(action11 == .close(WebSocketCloseCode(rawValue: 4000)))
        let action12 = machine.receive(frame(.pong))
        #expect(action12 == .nothing)
    }
}
