internal import Crypto
internal import Foundation

/// The opening handshake of a WebSocket (RFC 6455, section 4.2), without any I/O.
package struct WebSocketHandshake {
    /// Why a request does not become a WebSocket.
    package struct Refusal: Error, Sendable, Hashable {
        /// The HTTP status.
        package var status: Int
        /// What is wrong and what to do.
        package var message: String
        /// Header fields that go with the status.
        package var headers: [String: String] = [:]
    }

    /// The answer's `Sec-WebSocket-Accept`.
    package var accept: String

    /// Checks a request.
    ///
    /// - Parameters:
    ///   - field: the values of a header field, by its lower-case name.
    ///   - allows: whether pages of an origin may connect, told the origin and the request's host. Browsers let any page
    ///     open a WebSocket to anywhere, with the user's cookies and network; only they send an origin.
    package init(
        method: String, field: (String) -> [String], allows: (_ origin: String, _ host: String?) -> Bool
    ) throws(Refusal) {
        func has(_ token: String, in name: String) -> Bool {
            field(name).contains { value in
                value.split(separator: ",").contains { part in
                    part.lowercased().trimmingCharacters(in: .whitespaces) == token
                }
            }
        }
        guard method == "GET", has("upgrade", in: "connection"), has("websocket", in: "upgrade") else {
            throw Refusal(
                status: 426, message: "This is a WebSocket: connect with a WebSocket client over HTTP/1.1.",
                headers: ["Upgrade": "websocket", "Connection": "Upgrade"])
        }
        guard field("sec-websocket-version") == ["13"] else {
            throw Refusal(
                status: 426, message: "Sec-WebSocket-Version must be 13.",
                headers: ["Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "Upgrade"])
        }
        let keys = field("sec-websocket-key")
        guard keys.count == 1, let key = keys.first, Data(base64Encoded: key)?.count == 16 else {
            throw Refusal(status: 400, message: "Sec-WebSocket-Key must be 16 bytes in base64.")
        }
        let origins = field("origin")
        let host = field("host").first
        guard origins.allSatisfy({ allows($0, host) }) else {
            throw Refusal(
                status: 403,
                message: "Pages of \(origins.joined(separator: ", ").prefix(256)) may not connect: allow their origin.")
        }
        let digest = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        accept = Data(digest).base64EncodedString()
    }
}
