import Foundation
import HTTPTypes
import Hummingbird
import Logging
import MartinetAPI
import MartinetFleet
import MartinetJSON
import MartinetUpstreams
import NIOCore
import NIOPosix
import Synchronization

/// A web server on this machine that answers as a test says.
final class MockServer: Sendable {
    /// One request that came.
    struct Call: Sendable {
        /// How many came before it.
        var number: Int
        var path: String
        var headers: [String: String]
        var body: JSONValue
        var bytes: [UInt8]
    }

    typealias Handler = @Sendable (Call) async throws -> Response

    private let handler: Mutex<Handler>
    private let seen = Mutex<[Call]>([])

    init(_ handler: @escaping Handler) {
        self.handler = Mutex(handler)
    }

    var calls: [Call] { seen.withLock { $0 } }

    func change(_ handler: @escaping Handler) { self.handler.withLock { $0 = handler } }

    /// Runs `body` with servers; the texts are their addresses.
    static func with(_ servers: [MockServer], _ body: @Sendable @escaping ([String]) async throws -> Void) async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var urls: [String] = []
            for server in servers {
                let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
                let router = Router()
                router.on("**", method: .post) { request, _ in try await server.answer(request) }
                router.on("**", method: .get) { request, _ in try await server.answer(request) }
                var logger = Logger(label: "test")
                logger.logLevel = .critical
                let application = Application(
                    router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
                    onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) }, logger: logger)
                group.addTask { try await application.run() }
                for await port in ports {
                    urls.append("http://127.0.0.1:\(port)")
                    break
                }
            }
            try await body(urls)
            group.cancelAll()
        }
    }

    private func answer(_ request: Request) async throws -> Response {
        let bytes = Array(try await request.body.collect(upTo: 64 << 20).readableBytesView)
        var headers: [String: String] = [:]
        for field in request.headers { headers[field.name.canonicalName] = field.value }
        headers["host"] = request.head.authority
        let parsed = (try? JSONParser.parse(bytes)) ?? .null
        let call = seen.withLock { [headers] calls -> Call in
            let call = Call(
                number: calls.count, path: request.uri.path, headers: headers, body: parsed, bytes: bytes)
            calls.append(call)
            return call
        }
        return try await handler.withLock { $0 }(call)
    }

    // MARK: Answers

    static let completion =
        #"{"id":"c","object":"text_completion","model":"m","choices":[{"index":0,"text":"hello","finish_reason":"stop"}],"#
        + #""usage":{"prompt_tokens":3,"completion_tokens":7,"total_tokens":10}}"#

    static func json(
        _ text: String = completion, status: Int = 200, type: String = "application/json",
        headers: [String: String] = [:]
    ) -> Response {
        var fields = HTTPFields()
        fields[.contentType] = type
        for (name, value) in headers { if let name = HTTPField.Name(name) { fields[name] = value } }
        return Response(
            status: .init(code: status), headers: fields, body: .init(byteBuffer: ByteBuffer(string: text)))
    }

    private struct Cut: Error {}

    /// How a stream ends.
    enum End: Sendable { case whole, cut, hang }

    static func stream(_ parts: [String], pause: Duration = .zero, end: End = .whole) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/event-stream"],
            body: .init { writer in
                for part in parts {
                    if pause > .zero { try await Task.sleep(for: pause) }
                    try await writer.write(ByteBuffer(string: part))
                }
                switch end {
                case .whole: try await writer.finish(nil)
                case .cut: throw Cut()
                case .hang: try await Task.sleep(for: .seconds(3600))
                }
            })
    }

    /// Answers after an hour.
    static func never() async throws -> Response {
        try await Task.sleep(for: .seconds(3600))
        return json()
    }
}

/// A server below HTTP: it waits for the first bytes of a request and answers with bytes of the test's choice.
enum RawServer {
    static func with(
        _ answer: [String], closes: Bool = true, _ body: @Sendable (String) async throws -> Void
    ) async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answer(parts: answer, closes: closes))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        do {
            try await body("http://127.0.0.1:\(port)")
        } catch {
            try? await channel.close()
            throw error
        }
        try await channel.close()
    }

    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var hasAnswered = false
        private let parts: [String]
        private let closes: Bool

        init(parts: [String], closes: Bool) {
            self.parts = parts
            self.closes = closes
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !hasAnswered else { return }
            hasAnswered = true
            for part in parts { context.write(NIOAny(ByteBuffer(string: part)), promise: nil) }
            // Closing drops what the socket has not taken yet.
            let written = context.writeAndFlush(NIOAny(ByteBuffer()))
            guard closes else { return }
            let channel = context.channel
            written.whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
