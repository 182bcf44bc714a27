internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import NIOCore
package import MartinetEngine
package import MartinetModels
internal import SwiftProtobuf

/// An engine in another process.
///
/// ```swift
/// let worker = try await WorkerClient.connect(to: .unix(path: "/run/martinet/worker.sock")) { error in … }
/// let engine = InferenceEngine(model: try await worker.textModel(), engine: worker)
/// ```
///
/// Sinks are called from one thread of this process, whichever worker their events come from, so they must not block.
package final class WorkerClient: SequenceEngine {
    /// What the worker serves.
    package let description: WorkerDescription
    private let link: WorkerLink
    private let address: WorkerAddress
    private let tls: WorkerClientTLS?
    private let connection: Task<Void, Never>

    /// Connects and learns what the worker serves.
    ///
    /// - Parameters:
    ///   - tls: certificates; `nil` speaks in the clear, as befits a Unix socket.
    ///   - timeout: how long the worker may take to say what it serves.
    ///   - onLost: runs once if the connection ends without our doing, when every open request has failed.
    /// - Throws: ``WorkerProtocolError`` where nothing answers in time, or not as a worker of this protocol would.
    package static func connect(
        to address: WorkerAddress, tls: WorkerClientTLS? = nil, timeout: Duration = .seconds(10),
        onLost: @escaping @Sendable (EngineError) -> Void = { _ in }
    ) async throws(WorkerProtocolError) -> WorkerClient {
        let link = WorkerLink(address: address, onLost: onLost)
        let connection: Task<Void, Never>
        if let direct = await DirectConnector.connect(address, link) {
            connection = Task(executorPreference: LoopExecutor.client) { await run(link, direct) }
        } else {
            let grpc = GRPCClient(transport: try makeTransport(address, tls))
            connection = Task(executorPreference: LoopExecutor.client) { await run(link, grpc) }
        }
        let timer = Task {
            try await Task.sleep(for: timeout)
            link.settleHello(
                .failure(WorkerProtocolError(.unreachable, "\(address) did not answer within \(timeout).")))
        }
        defer { timer.cancel() }
        do throws(WorkerProtocolError) {
            let description = try await link.hello()
            return WorkerClient(
                description: description, link: link, address: address, tls: tls, connection: connection)
        } catch {
            link.stop()
            connection.cancel()
            throw error
        }
    }

    private init(
        description: WorkerDescription, link: WorkerLink, address: WorkerAddress, tls: WorkerClientTLS?,
        connection: Task<Void, Never>
    ) {
        self.description = description
        self.link = link
        self.address = address
        self.tls = tls
        self.connection = connection
    }

    deinit { stop() }

    /// The bounds that requests are checked against.
    package var limits: SequenceLimits { description.limits }

    /// What a supervisor judges the worker by.
    package var progress: WorkerProgress { link.progress }

    /// Sends a request to the worker. That the worker refuses it, the sink learns as its failure.
    ///
    /// - Throws: ``EngineError`` where the request is invalid or the worker was lost.
    package func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        try request.validate(limits)
        return try link.submit(request, to: sink)
    }

    /// The worker's figures as it sent them last.
    package func statistics() -> EngineStatistics { link.statistics }

    /// Asks the worker to take no more requests from anyone, to let those there end, and to exit.
    package func drain() { link.send(.with { $0.drain = WireDrain() }) }

    /// Takes no more requests, lets those here end until the deadline, aborts the rest and closes the connection. The
    /// worker goes on for others.
    package func shutdown(deadline: Duration) async {
        link.refuseMore()
        let end = ContinuousClock.now + deadline
        while link.openCount > 0, ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(10))
        }
        stop()
        await connection.value
    }

    /// Aborts everything and closes the connection, without waiting for it.
    package func stop() {
        link.stop()
        connection.cancel()
    }

    /// Fetches the files that the model's text side is made of.
    ///
    /// - Throws: ``WorkerProtocolError`` where the worker is lost, or ``ModelError`` where it sends what cannot be.
    package func textFiles() async throws -> TextModelFiles {
        var options = CallOptions.defaults
        options.timeout = .seconds(60)
        options.maxResponseMessageBytes = WorkerProtocol.maxWorkerMessageBytes
        do {
            return try await withGRPCClient(transport: try Self.makeTransport(address, tls)) { [options] grpc in
                try await WireWorker.Client(wrapping: grpc).describe(.with { $0.textFiles = true }, options: options) {
                    response in
                    var files: [TextModelFiles.File] = []
                    var size = 0
                    for try await part in response.messages {
                        guard case .chunk(let chunk) = part.part else { continue }
                        size += chunk.data.count
                        guard size <= TextModelFiles.maxBytes, files.count < 64 else {
                            throw WorkerProtocolError(.protocolViolation, "The worker's text side is too large.")
                        }
                        if files.last?.name != chunk.name { files.append(.init(name: chunk.name, bytes: [])) }
                        files[files.count - 1].bytes += chunk.data
                    }
                    return try TextModelFiles(files: files)
                }
            }
        } catch let error as RPCError {
            throw WorkerProtocolError(.unreachable, "The worker did not send its text side: \(error.message).")
        }
    }

    /// Fetches the model's text side.
    ///
    /// - Throws: as ``textFiles()``, and what ``TextModelFiles/makeTextModel(name:)`` throws.
    package func textModel() async throws -> TextModel {
        try await textFiles().makeTextModel(name: description.model)
    }

    private static func makeTransport(
        _ address: WorkerAddress, _ tls: WorkerClientTLS?
    ) throws(WorkerProtocolError) -> HTTP2ClientTransport.Posix {
        let target: any ResolvableTarget
        switch address {
        case .unix(let path):
            target = .unixDomainSocket(path: path, authority: "localhost")
        case .tcp(let host, let port):
            // An address is no name: TLS must not send it as one, and the certificate must hold it as an address.
            switch try? NIOCore.SocketAddress(ipAddress: host, port: port) {
            case .v4?: target = .ipv4(address: host, port: port)
            case .v6?: target = .ipv6(address: host, port: port)
            default: target = .dns(host: host, port: port)
            }
        }
        do {
            return try HTTP2ClientTransport.Posix(
                target: target, transportSecurity: .init(tls),
                config: .defaults { config in
                    config.http2.authority = tls?.serverName
                    // Requests are few and small, and wait for nothing.
                    config.connection.flushCoalescing = nil
                    config.connection.maxIdleTime = nil
                }, eventLoopGroup: LoopExecutor.client.group)
        } catch {
            throw WorkerProtocolError(
                .invalidAddress, "A connection to \(address) cannot be made: check the certificates (\(error)).")
        }
    }

    /// Keeps a direct connection until it ends: the worker closes it, or the task is cancelled.
    private static func run(_ link: WorkerLink, _ direct: DirectChannel) async {
        await withTaskCancellationHandler {
            await direct.closed()
        } onCancel: {
            direct.close()
        }
        await link.end(link.directFailure)
    }

    /// Keeps the connection until it ends.
    private static func run(_ link: WorkerLink, _ grpc: GRPCClient<HTTP2ClientTransport.Posix>) async {
        var options = CallOptions.defaults
        options.maxRequestMessageBytes = WorkerProtocol.maxFrontendMessageBytes
        options.maxResponseMessageBytes = WorkerProtocol.maxWorkerMessageBytes
        var reason: String?
        do {
            try await withThrowingTaskGroup(of: Void.self) { [options] group in
                group.addTask { try await grpc.runConnections() }
                group.addTask {
                    try await WireWorker.Client(wrapping: grpc).connect(
                        options: options,
                        requestProducer: { writer in
                            while case let messages = await link.nextMessages(), !messages.isEmpty {
                                try await writer.write(contentsOf: messages)
                            }
                        },
                        onResponse: { response in
                            for try await message in response.messages { try link.receive(message) }
                        })
                }
                defer {
                    grpc.beginGracefulShutdown()
                    group.cancelAll()
                }
                try await group.next()
            }
        } catch let error as RPCError {
            let cause = error.cause.map { " (\($0))" } ?? ""
            reason = error.message + cause
        } catch {
            reason = "\(error)"
        }
        await link.end(reason)
    }
}
