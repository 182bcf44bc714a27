import MartinetWebSocketHTTP
import Testing

@Suite struct WebSocketHandshakeTests {
    private static let fields = [
        "connection": ["keep-alive, Upgrade"], "upgrade": ["WebSocket"], "sec-websocket-version": ["13"],
        "sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ=="], "host": ["localhost:8000"],
    ]

    private func refusal(
        _ changes: [String: [String]?], method: String = "GET", allows: Bool = false
    ) -> WebSocketHandshake.Refusal? {
        let fields = Self.fields.merging(changes.mapValues { $0 ?? [] }) { $1 }
        do throws(WebSocketHandshake.Refusal) {
            _ = try WebSocketHandshake(method: method, field: { fields[$0] ?? [] }, allows: { _, _ in allows })
            return nil
        } catch {
            return error
        }
    }

    /// The example of RFC 6455, section 1.3.
    @Test func theStandardsExample() throws {
        let handshake = try WebSocketHandshake(
            method: "GET", field: { Self.fields[$0] ?? [] }, allows: { _, _ in false })
        #expect(handshake.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test func refusals() {
        #expect(refusal([:], method: "POST")?.status == 426)
        #expect(refusal(["upgrade": ["h2c"]])?.status == 426)
        #expect(refusal(["connection": nil])?.status == 426)
        #expect(refusal(["sec-websocket-version": ["8"]])?.headers["Sec-WebSocket-Version"] == "13")
        #expect(refusal(["sec-websocket-key": ["short"]])?.status == 400)
        #expect(refusal(["sec-websocket-key": nil])?.status == 400)
        #expect(
            refusal(["sec-websocket-key": Self.fields["sec-websocket-key"]! + ["dGhlIHNhbXBsZSBub25jZQ=="]])?.status
                == 400)
        #expect(refusal(["origin": ["https://evil.example"]])?.status == 403)
        #expect(refusal(["origin": ["https://evil.example"]], allows: true) == nil)
        #expect(refusal([:]) == nil)
    }
}
