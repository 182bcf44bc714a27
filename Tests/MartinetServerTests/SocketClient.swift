import Foundation
import NIOCore
import Testing

/// A client of `/v1/ws` that makes its own frames.
struct SocketClient {
    let raw: RawConnection

    init(port: Int, headers: String = "") async throws {
        raw = try await RawConnection.connect(port: port)
        try await raw.send(
            "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(headers)\r\n")
        try await raw.wait("an answer to the handshake") { $0.text.contains("\r\n\r\n") }
    }

    static func frame(_ opcode: UInt8, _ payload: [UInt8], fin: Bool = true, masked: Bool = true) -> [UInt8] {
        var bytes = [opcode | (fin ? 0x80 : 0)]
        let mask: UInt8 = masked ? 0x80 : 0
        switch payload.count {
        case ..<126: bytes.append(mask | UInt8(payload.count))
        case ..<65536: bytes += [mask | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default: bytes += [mask | 127] + (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 0xFF) }
        }
        let key: [UInt8] = [9, 8, 7, 6]
        if masked { bytes += key }
        return bytes + (masked ? payload.enumerated().map { $1 ^ key[$0 & 3] } : payload)
    }

    func send(_ text: String) async throws { try await raw.send(Self.frame(1, Array(text.utf8))) }

    /// The frames that have come: opcodes and payloads.
    var frames: [(opcode: UInt8, payload: [UInt8])] {
        let bytes = raw.bytes
        guard
            let end = bytes.indices.dropFirst(3).first(where: { bytes[($0 - 3)...$0].elementsEqual([13, 10, 13, 10]) })
        else { return [] }
        var rest = bytes[(end + 1)...]
        var frames: [(UInt8, [UInt8])] = []
        while rest.count >= 2 {
            let start = rest.startIndex
            var length = Int(rest[start + 1] & 0x7F)
            var offset = 2
            let more = length == 126 ? 2 : (length == 127 ? 8 : 0)
            guard rest.count >= 2 + more else { break }
            if more > 0 {
                length = rest[(start + 2)..<(start + 2 + more)].reduce(0) { $0 << 8 | Int($1) }
                offset += more
            }
            guard rest.count >= offset + length else { break }
            frames.append((rest[start] & 0x0F, Array(rest[(start + offset)..<(start + offset + length)])))
            rest = rest[(start + offset + length)...]
        }
        return frames
    }

    /// The messages that have come.
    var messages: [[String: Any]] {
        frames.filter { $0.opcode == 1 }.compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.payload)) as? [String: Any]
        }
    }

    /// The code of the close frame, where one has come.
    var closeCode: Int? {
        frames.first { $0.opcode == 8 }.map { frame in frame.payload.prefix(2).reduce(0) { $0 << 8 | Int($1) } }
    }

    func messages(_ type: String, id: String? = nil) -> [[String: Any]] {
        messages.filter { $0["type"] as? String == type && (id == nil || $0["id"] as? String == id) }
    }
}
