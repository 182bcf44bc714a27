internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import MartinetAPI
internal import MartinetWebSocketHTTP
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// One client on `/v1/ws`: several generations at once, each named by the client.
///
/// A generation runs as the request that it would be over HTTP, through the same routes: what checks, counts, logs and
/// limits requests there does so here. Its stream of events becomes messages. What a slow reader has not taken waits with
/// its own generations.
struct WebSocketSession: Sendable {
    /// The path.
    static let path = "/v1/ws"

    let connection: WebSocketConnection
    let responder: any HTTPResponder<MartinetContext>
    let generations: OpenGenerations
    let maxGenerations: Int
    let logger: Logger

    init(
        _ connection: WebSocketConnection, responder: any HTTPResponder<MartinetContext>, maxGenerations: Int,
        logger: Logger
    ) {
        self.connection = connection
        self.responder = responder
        self.maxGenerations = maxGenerations
        self.logger = logger
        generations = OpenGenerations(maximum: maxGenerations)
    }

    /// Serves the client until it leaves or the server ends.
    func run() async {
        let start = ContinuousClock.now
        let observer = connection.facts.monitor.onClose { [generations] in generations.cancelAll() }
        defer { connection.facts.monitor.remove(observer) }
        let isEnding = await withDiscardingTaskGroup { group in
            do {
                for try await event in connection.inbound {
                    switch event {
                    // Those that run end first.
                    case .shouldEnd: return true
                    case .text(let bytes): try await receive(bytes, in: &group)
                    }
                }
            } catch {
                logger.debug("a WebSocket broke", metadata: ["error": "\(error)"])
            }
            generations.cancelAll()
            return false
        }
        if isEnding { try? await connection.outbound.write(.close(.goingAway, "the server ends")) }
        connection.outbound.finish()
        logger.info(
            "websocket closed",
            metadata: [
                "remote": "\(connection.facts.remoteAddress)",
                "seconds": .stringConvertible((ContinuousClock.now - start) / .seconds(1)),
            ])
    }

    private func receive(_ bytes: ByteBuffer, in group: inout DiscardingTaskGroup) async throws {
        do {
            let message = try await CallRouter.aside(bytes.readableBytes) {
                try SocketMessage(Array(bytes.readableBytesView))
            }
            switch message {
            case .ping(let id): try await send(SocketAnswer.pong(id: id))
            case .cancel(let id):
                guard generations.cancel(id) else {
                    throw SocketRefusal(.invalid("id", "No generation of the id `\(id)` runs.", code: "unknown_id"))
                }
            case .call(let call):
                switch generations.enter(call.id) {
                case .entered(let monitor): group.addTask { await run(call, monitor) }
                case .exists:
                    // The id stands for the one that runs.
                    throw SocketRefusal(
                        .invalid(
                            "id", "A generation of the id `\(call.id)` runs; choose another.", code: "duplicate_id"))
                case .full:
                    throw SocketRefusal(
                        APIError(
                            status: 429, "A connection may have at most \(maxGenerations) generations at once.",
                            type: "rate_limit_error", code: "too_many_generations"), id: call.id)
                }
            }
        } catch let refusal as SocketRefusal {
            try await send(SocketAnswer.refused(refusal))
        }
    }

    private func send(_ message: [UInt8]) async throws {
        try await connection.outbound.write(.text(ByteBuffer(bytes: message)))
    }

    private func run(_ call: SocketCall, _ monitor: ConnectionMonitor) async {
        var facts = connection.facts
        facts.monitor = monitor
        await ConnectionFacts.$current.withValue(facts) {
            do {
                let last = try await answer(call)
                // Who hears of the end may use the id again.
                generations.leave(call.id)
                if let last { try await send(last) }
            } catch {
                // The socket is gone.
                generations.leave(call.id)
            }
        }
    }

    /// Answers a call but for the last message, which it returns.
    private func answer(_ call: SocketCall) async throws -> [UInt8]? {
        let answer = SocketAnswer(id: call.id)
        let request = request(call)
        try await send(answer.accepted(requestID: request.headers[.requestID] ?? ""))
        let context = MartinetContext(source: .init(channel: connection.channel, logger: logger))
        let response: Response
        do {
            response = try await responder.respond(to: request, context: context)
        } catch {
            return answer.failed(status: 500, body: [])
        }
        guard response.body.contentLength == nil else {
            let body = Collector()
            try await response.body.write(Collector.Writer(collector: body))
            if response.status == .ok { return answer.done(context.record.usage, body: body.bytes) }
            // Nginx's word for a client that left: here it cancelled.
            if response.status.code == 499 { return answer.cancelled() }
            return answer.failed(status: Int(response.status.code), body: body.bytes)
        }
        let end = SocketStreamEnd()
        try await response.body.write(SocketWriter(connection.outbound, answer: answer, end: end))
        if end.hasFailed { return nil }
        return end.isWhole ? answer.done(context.record.usage) : answer.cancelled()
    }

    /// The request that a call would be over HTTP, with what the headers of the handshake say.
    private func request(_ call: SocketCall) -> Request {
        var fields = HTTPFields()
        for (name, value) in connection.head.headers {
            let lower = name.lowercased()
            guard !lower.hasPrefix("sec-websocket-"), !Self.ownHeaders.contains(lower),
                let name = HTTPField.Name(name)
            else { continue }
            fields.append(HTTPField(name: name, value: value))
        }
        fields[.contentType] = "application/json"
        fields[.requestID] = RequestMiddleware.newID()
        return Request(
            head: HTTPRequest(
                method: .post, scheme: connection.facts.isSecure ? "https" : "http",
                authority: connection.head.headers["host"].first, path: call.path, headerFields: fields),
            body: RequestBody(buffer: ByteBuffer(bytes: call.body)))
    }

    /// Headers of the handshake that say nothing of its requests.
    private static let ownHeaders: Set<String> = [
        "connection", "upgrade", "host", "origin", "content-length", "transfer-encoding", "x-request-id",
    ]
}

/// Takes an answer that is whole.
private final class Collector: Sendable {
    private let buffer = Mutex(ByteBuffer())

    var bytes: [UInt8] { buffer.withLock { Array($0.readableBytesView) } }

    struct Writer: ResponseBodyWriter {
        let collector: Collector

        mutating func write(_ buffer: ByteBuffer) async throws {
            collector.buffer.withLock { _ = $0.writeImmutableBuffer(buffer) }
        }

        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }
}
