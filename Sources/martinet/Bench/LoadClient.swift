import AsyncHTTPClient
import Foundation
import MartinetBenchmarks
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Sends streamed requests to a server and watches the answers, from a single thread.
///
/// The server under test often runs on the same cores. So bytes are looked at where they arrive, on the event loop: no
/// task wakes up for a token.
struct LoadClient: Sendable {
    private let client: HTTPClient
    private let url: String
    private let headers: HTTPHeaders
    private let timeout: Duration

    /// Runs `body` with a client whose connections are closed afterwards.
    ///
    /// - Parameters:
    ///   - url: what is asked, with its path.
    ///   - apiKey: sent as a bearer token.
    ///   - connections: most connections at once.
    ///   - timeout: for each request, from its start to the end of its answer.
    static func run<Result: Sendable>(
        url: String, apiKey: String?, connections: Int, timeout: Duration, _ body: (LoadClient) async throws -> Result
    ) async throws -> Result {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = HTTPClient.Configuration()
        configuration.httpVersion = .http1Only
        configuration.redirectConfiguration = .disallow
        configuration.timeout = .init(connect: .seconds(10))
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        // What fails is counted, not tried again.
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
        var headers = HTTPHeaders([("content-type", "application/json"), ("accept", "text/event-stream")])
        if let apiKey { headers.add(name: "authorization", value: "Bearer \(apiKey)") }
        let outcome: Swift.Result<Result, any Error>
        do {
            outcome = .success(
                try await body(LoadClient(client: client, url: url, headers: headers, timeout: timeout)))
        } catch {
            outcome = .failure(error)
        }
        try? await client.shutdown()
        try? await group.shutdownGracefully()
        return try outcome.get()
    }

    /// Sends a request; what goes wrong is in the record.
    ///
    /// A server may close a connection in the moment in which it is used again. As HTTP clients do then, the request goes
    /// out once more, on another one, where nothing of an answer had come; the times are those of the last attempt.
    func send(_ body: [UInt8]) async -> RequestRecord {
        for _ in 0..<3 {
            let (record, wasAnswered) = await attempt(body)
            guard record.failure == .closed, !wasAnswered else { return record }
            // Until the event loop has seen which other connections the server closed.
            try? await Task.sleep(for: .milliseconds(1))
        }
        return await attempt(body).record
    }

    private func attempt(_ body: [UInt8]) async -> (record: RequestRecord, wasAnswered: Bool) {
        let begin = NIODeadline.now()
        let observer = StreamObserver(begin: begin)
        do {
            let request = try HTTPClient.Request(url: url, method: .POST, headers: headers, body: .bytes(body))
            let deadline = begin + .nanoseconds(Int64(timeout / .nanoseconds(1)))
            let task = client.execute(request: request, delegate: observer, deadline: deadline)
            return (try await task.futureResult.get(), true)
        } catch {
            return (observer.record(failure: Self.failure(error)), observer.wasAnswered)
        }
    }

    private static func failure(_ error: any Error) -> RequestFailure {
        switch error {
        case let failure as RequestFailure: return failure
        case is NIOConnectionError: return .connect
        case HTTPParserError.invalidEOFState, ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed,
            ChannelError.eof:
            return .closed
        case is HTTPParserError: return RequestFailure("malformed_http", "\(error)")
        case let error as IOError:
            switch error.errnoCode {
            case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH: return .connect
            case ECONNRESET, EPIPE: return .closed
            default: return RequestFailure("io", error.localizedDescription)
            }
        case let error as HTTPClientError:
            switch error {
            case .deadlineExceeded, .readTimeout, .writeTimeout: return .timeout
            case .connectTimeout: return .connect
            case .remoteConnectionClosed: return .closed
            default: return RequestFailure("client", error.description)
            }
        default: return RequestFailure("transport", "\(error)")
        }
    }
}

/// Watches one answer on its event loop.
private final class StreamObserver: HTTPClientResponseDelegate {
    typealias Response = RequestRecord

    private struct State {
        var stream = CompletionStream()
        var wasAnswered = false
        /// Where the status is not 200, it and the beginning of the body.
        var refusal: (status: UInt, body: [UInt8])?
    }

    private let begin: NIODeadline
    // The lock has no contenders; it is what makes the state sendable.
    private let state = Mutex(State())

    init(begin: NIODeadline) { self.begin = begin }

    func didReceiveHead(task: HTTPClient.Task<Response>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        state.withLock { state in
            state.wasAnswered = true
            if head.status != .ok { state.refusal = (head.status.code, []) }
        }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Response>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        let time = Double((NIODeadline.now() - begin).nanoseconds) * 1e-9
        do throws(RequestFailure) {
            try state.withLock { state throws(RequestFailure) in
                if state.refusal != nil {
                    let room = 4096 - (state.refusal?.body.count ?? 0)
                    state.refusal?.body.append(contentsOf: buffer.readableBytesView.prefix(room))
                    return
                }
                var failure: RequestFailure?
                buffer.withUnsafeReadableBytes { bytes in
                    do throws(RequestFailure) {
                        try state.stream.receive(bytes, at: time)
                    } catch {
                        failure = error
                    }
                }
                if let failure { throw failure }
            }
            return task.eventLoop.makeSucceededVoidFuture()
        } catch {
            return task.eventLoop.makeFailedFuture(error)
        }
    }

    var wasAnswered: Bool { state.withLock(\.wasAnswered) }

    func didFinishRequest(task: HTTPClient.Task<Response>) -> RequestRecord { record(failure: nil) }

    func record(failure: RequestFailure?) -> RequestRecord {
        state.withLock { state in
            guard let refusal = state.refusal else { return state.stream.finish(failure: failure) }
            let message = (try? CompletionChunk(parsing: refusal.body))?.errorMessage
            return RequestRecord(
                failure: .status(refusal.status, message ?? String(decoding: refusal.body.prefix(200), as: UTF8.self)))
        }
    }
}
