internal import MartinetJSON

/// Encodes what the client of a socket gets about one generation.
public struct SocketAnswer: Sendable {
    private let id: String
    /// What every delta begins with.
    private let prefix: [UInt8]

    /// An encoder for a generation of an id.
    public init(id: String) {
        self.id = id
        var writer = JSONWriter()
        writer.raw("{")
        writer.field("type", "delta")
        writer.field("id", id)
        writer.raw(",\"chunk\":")
        prefix = writer.bytes
    }

    /// `accepted`: exactly one of `done`, `cancelled` and `error` will follow.
    public func accepted(requestID: String) -> [UInt8] {
        message("accepted") { $0.field("request_id", requestID) }
    }

    /// `delta`, with the data of one server-sent event.
    public func delta(_ chunk: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(prefix.count + chunk.count + 1)
        bytes.append(contentsOf: prefix)
        bytes.append(contentsOf: chunk)
        bytes.append(UInt8(ascii: "}"))
        return bytes
    }

    /// `done`, with the answer's body where it did not come as deltas.
    public func done(_ usage: Usage?, body: [UInt8]? = nil) -> [UInt8] {
        message("done") { writer in
            if let body {
                writer.field("response") { $0.raw(body) }
                // Raw text leaves the comma to its writer.
                if usage != nil { writer.raw(",") }
            }
            if let usage { writer.field("usage") { usage.write(to: &$0) } }
        }
    }

    /// `cancelled`.
    public func cancelled() -> [UInt8] { message("cancelled") { _ in } }

    /// `error`, from the body of an HTTP answer or of an event that breaks a stream off.
    public func failed(status: Int?, body: [UInt8]) -> [UInt8] {
        let value = try? JSONParser.parse(body)
        return message("error") { writer in
            if let status { writer.field("status", status) }
            writer.field("error") { writer in
                writer.value(
                    value?["error"] ?? .object([(key: "message", value: .string("The request failed."))]))
            }
        }
    }

    private func message(_ type: String, _ rest: (inout JSONWriter) -> Void) -> [UInt8] {
        Self.message(type, id: id, rest)
    }

    private static func message(_ type: String, id: String?, _ rest: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("type", type)
            if let id { writer.field("id", id) }
            rest(&writer)
        }
        return writer.bytes
    }

    /// `pong`.
    public static func pong(id: String?) -> [UInt8] { message("pong", id: id) { _ in } }

    /// `error`, for a message that is not obeyed.
    public static func refused(_ refusal: SocketRefusal) -> [UInt8] {
        message("error", id: refusal.id) { writer in
            writer.field("status", refusal.error.status)
            writer.field("error") { writer in
                writer.value((try? JSONParser.parse(refusal.error.body))?["error"] ?? .null)
            }
        }
    }
}
