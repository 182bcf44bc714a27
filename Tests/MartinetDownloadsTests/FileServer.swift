import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// A web server on this machine that gives one file in good and bad ways.
final class FileServer: Sendable {
    struct Behaviour {
        /// Requests from the first on whose connection is cut after this many bytes.
        var cuts: [Int] = []
        /// Statuses of the first requests.
        var statuses: [Int] = []
        var tag: String? = "\"one\""
        var supportsRanges = true
        /// Whether the length is left out.
        var isChunked = false
        /// Where every request is sent instead.
        var redirect: String?
        var body = FileServer.file
    }

    struct Seen {
        var path: String
        var range: String?
        var authorization: String?
    }

    /// Three hundred thousand bytes that do not repeat soon.
    static let file: [UInt8] = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 251) }

    let behaviours = Mutex<[String: Behaviour]>([:])
    let seen = Mutex<[Seen]>([])

    /// Runs `body` with a server; the text is its address.
    static func with(
        _ behaviours: [String: Behaviour], _ body: @Sendable @escaping (FileServer, String) async throws -> Void
    ) async throws {
        let server = FileServer()
        server.behaviours.withLock { $0 = behaviours }
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        let router = Router()
        router.get("**") { request, _ in server.answer(request) }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in continuation.yield(channel.localAddress?.port ?? 0) }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await body(server, "http://127.0.0.1:\(port)")
                break
            }
            group.cancelAll()
        }
    }

    private struct Cut: Error {}

    private func answer(_ request: Request) -> Response {
        let path = request.uri.path
        seen.withLock {
            $0.append(
                Seen(path: path, range: request.headers[.range], authorization: request.headers[.authorization]))
        }
        let behaviour = behaviours.withLock { all -> Behaviour? in
            guard let behaviour = all[path] else { return nil }
            if !behaviour.statuses.isEmpty {
                all[path]?.statuses.removeFirst()
            } else if !behaviour.cuts.isEmpty {
                all[path]?.cuts.removeFirst()
            }
            return behaviour
        }
        guard let behaviour else { return Response(status: .notFound) }
        if let status = behaviour.statuses.first { return Response(status: .init(code: status)) }
        var headers = HTTPFields()
        if let redirect = behaviour.redirect {
            headers[.location] = redirect
            return Response(status: .found, headers: headers)
        }
        headers[.eTag] = behaviour.tag
        var start = 0
        var status = HTTPResponse.Status.ok
        let validator = request.headers[.ifRange]
        if behaviour.supportsRanges, let range = request.headers[.range],
            validator == nil || validator == behaviour.tag,
            let first = Int(range.dropFirst("bytes=".count).dropLast())
        {
            guard first < behaviour.body.count else { return Response(status: .rangeNotSatisfiable) }
            start = first
            status = .partialContent
            headers[.contentRange] = "bytes \(first)-\(behaviour.body.count - 1)/\(behaviour.body.count)"
        }
        let bytes = Array(behaviour.body[start...])
        let cut = behaviour.cuts.first
        let body = ResponseBody(contentLength: behaviour.isChunked ? nil : bytes.count) { writer in
            let count = min(cut ?? bytes.count, bytes.count)
            for begin in stride(from: 0, to: count, by: 16_384) {
                try await writer.write(ByteBuffer(bytes: bytes[begin..<min(begin + 16_384, count)]))
            }
            if cut != nil {
                try await Task.sleep(for: .milliseconds(50))
                throw Cut()
            }
            try await writer.finish(nil)
        }
        return Response(status: status, headers: headers, body: body)
    }
}
