internal import FoundationEssentials
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import MartinetEngine
package import MartinetModels
internal import NIOCore
internal import SwiftProtobuf
internal import Synchronization

/// Serves an engine to frontends over a socket.
///
/// ```swift
/// let steps = StepSignal()
/// let engine = try Engine(model: model, plan: plan, options: options, stepEnded: steps.stepEnded)
/// let server = try WorkerServer(
///     engine: engine, steps: steps, description: description, textFiles: .load(path: path), address: .unix(path: socket))
/// try await server.run()
/// ```
package final class WorkerServer: Sendable {
    /// What a frontend may make a worker hold for it.
    package struct Limits: Sendable {
        /// About how many numbers may wait for a frontend to read; a prompt's log probabilities are many at once.
        package var outboxSize = 4 << 20
        /// How long a frontend may not read.
        package var writeTimeout = Duration.seconds(30)

        package init() {}
    }

    private struct State {
        var connections: [ObjectIdentifier: FrontendConnection] = [:]
        var drains = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// Where it listens: with the port that the system chose.
    package let address: WorkerAddress
    private let state = Mutex(State())
    private let socket: Mutex<ListeningSocket>
    /// For frontends of the same machine; `nil` where the address is no Unix socket's.
    private let directSocket: Mutex<ListeningSocket>?
    private let engine: any SequenceEngine
    private let description: WorkerDescription
    private let textFiles: TextModelFiles
    private let tls: WorkerServerTLS?
    private let limits: Limits
    private let drainTimeout: Duration

    /// Takes the socket. Frontends can connect from now on and are answered when ``run()`` runs.
    ///
    /// - Parameters:
    ///   - engine: what runs requests; the server ends it.
    ///   - steps: what the engine tells the end of its steps.
    ///   - textFiles: what frontends elsewhere make the model's text side of.
    ///   - tls: certificates; `nil` speaks in the clear, as befits a Unix socket.
    ///   - drainTimeout: how long running requests get at the end.
    /// - Throws: ``WorkerProtocolError`` where the address cannot be had.
    package init(
        engine: any SequenceEngine, steps: StepSignal, description: WorkerDescription, textFiles: TextModelFiles,
        address: WorkerAddress, tls: WorkerServerTLS? = nil, limits: Limits = Limits(),
        drainTimeout: Duration = .seconds(30)
    ) throws(WorkerProtocolError) {
        let socket = try ListeningSocket(address)
        self.address = socket.address
        self.socket = Mutex(socket)
        directSocket =
            if let address = DirectListener.address(beside: self.address) {
                Mutex(try ListeningSocket(address))
            } else { nil }
        self.engine = engine
        self.description = description
        self.textFiles = textFiles
        self.tls = tls
        self.limits = limits
        self.drainTimeout = drainTimeout
        steps.listen { [weak self] in self?.flush() }
    }

    /// Requests that frontends have open.
    package var openCount: Int { connections.reduce(0) { $0 + $1.openCount } }
    /// Frontends that are connected.
    package var frontendCount: Int { state.withLock { $0.connections.count } }

    private var connections: [FrontendConnection] { state.withLock { Array($0.connections.values) } }

    private func flush() {
        for connection in connections { connection.flush() }
    }

    /// Takes no more requests, lets those here end, and ends ``run()``.
    package func drain() {
        let waiter = state.withLock { state in
            state.drains = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Serves until it is told to drain, by ``drain()``, by a frontend, or by cancelling the task.
    ///
    /// - Throws: ``WorkerProtocolError`` where certificates cannot be used, or the socket fails.
    package func run() async throws {
        let transport = HTTP2ServerTransport.Posix(
            listeningSocketDescriptor: socket.withLock { $0.takeDescriptor() }, transportSecurity: .init(tls),
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = WorkerProtocol.maxFrontendMessageBytes
                // A step's message is all there is to send; waiting for more only makes it late.
                config.connection.flushCoalescing = nil
                config.connection.keepalive.time = .seconds(10)
                config.connection.keepalive.timeout = .seconds(10)
            }, eventLoopGroup: LoopExecutor.server.group)
        let server = GRPCServer(transport: CheckedTransport(transport), services: [WorkerService(server: self)])
        defer { engine.stop() }
        do {
            try await withTaskExecutorPreference(LoopExecutor.server) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        do {
                            try await server.serve()
                        } catch  where self.state.withLock(\.drains) {
                            // It was told to end before it had begun, or had to be cut short.
                        }
                    }
                    if let descriptor = self.directSocket?.withLock({ $0.takeDescriptor() }) {
                        group.addTask {
                            try await DirectListener.run(Int32(descriptor), accept: self.accept)
                            // It ends with the task only; what else ends it must not end the worker.
                            try await Task.sleep(for: .seconds(Int64.max))
                        }
                    }
                    group.addTask {
                        await self.drainRequest()
                        await self.engine.shutdown(deadline: self.drainTimeout)
                        await self.endConnections()
                        server.beginGracefulShutdown()
                        // Frontends that do not close their connections must not hold us up.
                        try? await Task.sleep(for: .seconds(1))
                    }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            }
        } catch let error as RuntimeError {
            let cause = error.cause.map { ": \($0)" } ?? ""
            throw WorkerProtocolError(.socketFailed, "Could not serve on \(address): \(error.message)\(cause)")
        }
    }

    private func drainRequest() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let drains = state.withLock { state in
                    if !state.drains { state.waiter = continuation }
                    return state.drains
                }
                if drains { continuation.resume() }
            }
        } onCancel: {
            drain()
        }
    }

    /// Lets the last events go out, to those that read.
    private func endConnections() async {
        for connection in connections { connection.finish() }
        let end = ContinuousClock.now + .seconds(5)
        while frontendCount > 0, ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    // MARK: What frontends ask for

    fileprivate func describe(
        _ request: WireDescribeRequest, to response: RPCWriter<WireDescribeResponse>
    ) async throws {
        try await response.write(.with { $0.description_p = WireDescription(description) })
        guard request.textFiles else { return }
        for file in textFiles.files {
            var rest = file.bytes[...]
            repeat {
                let part = rest.prefix(1 << 20)
                rest = rest.dropFirst(part.count)
                try await response.write(
                    .with {
                        $0.chunk.name = file.name
                        $0.chunk.data = Data(part)
                    })
            } while !rest.isEmpty
        }
    }

    fileprivate func serve(
        _ messages: RPCAsyncSequence<WireFrontendMessage, any Error>, to response: RPCWriter<WireWorkerMessage>
    ) async throws {
        try await response.write(.with { $0.hello = WireDescription(description) })
        let connection = FrontendConnection(engine: engine, limits: limits)
        add(connection)
        defer { remove(connection) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.read(messages, of: connection) }
            group.addTask {
                while case let ready = await connection.messages(), !ready.isEmpty {
                    try await response.write(contentsOf: ready)
                }
            }
            group.addTask { try await self.beat(connection) }
            // Whichever ends first ends the others: the frontend closed, the worker drained, or one of them failed.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func read(
        _ messages: RPCAsyncSequence<WireFrontendMessage, any Error>, of connection: FrontendConnection
    ) async throws {
        for try await message in messages { try take(message, of: connection) }
    }

    private func add(_ connection: FrontendConnection) {
        state.withLock { $0.connections[ObjectIdentifier(connection)] = connection }
    }

    private func remove(_ connection: FrontendConnection) {
        connection.close()
        _ = state.withLock { $0.connections.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    private func beat(_ connection: FrontendConnection) async throws {
        while true {
            try connection.beat(draining: state.withLock(\.drains))
            try await Task.sleep(for: WorkerProtocol.heartbeatInterval)
        }
    }

    private func take(
        _ message: WireFrontendMessage, of connection: FrontendConnection
    ) throws(WorkerProtocolError) {
        switch message.message {
        case .submit(let submission) where state.withLock(\.drains):
            connection.refuse(
                submission.request,
                EngineError(.unavailable, "The worker is shutting down and takes no new requests."))
        case .submit(let submission): try connection.submit(submission)
        case .cancel(let cancellation): connection.cancel(cancellation)
        case .drain: drain()
        case nil: throw WorkerProtocolError(.protocolViolation, "A message of an unknown kind came.")
        }
    }

    /// Takes a frontend that came by the direct socket.
    private func accept(_ channel: any Channel) throws -> any ChannelHandler {
        let direct = try DirectChannel(channel)
        direct.send(try WireWorkerMessage.with { $0.hello = WireDescription(description) }.frame())
        let connection = FrontendConnection(engine: engine, limits: limits, direct: direct)
        add(connection)
        let heart = Task(executorPreference: LoopExecutor.server) {
            // A frontend that does not read is disconnected.
            do { try await self.beat(connection) } catch { direct.close() }
        }
        return FrameHandler<WireFrontendMessage>(maxBytes: WorkerProtocol.maxFrontendMessageBytes) {
            try self.take($0, of: connection)
        } onEnd: { _ in
            heart.cancel()
            self.remove(connection)
            direct.close()
        }
    }
}

/// What the generated code calls.
private struct WorkerService: WireWorker.SimpleServiceProtocol {
    let server: WorkerServer

    func describe(
        request: WireDescribeRequest, response: RPCWriter<WireDescribeResponse>, context: ServerContext
    ) async throws {
        try await server.describe(request, to: response)
    }

    func connect(
        request: RPCAsyncSequence<WireFrontendMessage, any Error>, response: RPCWriter<WireWorkerMessage>,
        context: ServerContext
    ) async throws {
        do {
            try await server.serve(request, to: response)
        } catch let error as WorkerProtocolError {
            throw RPCError(code: .invalidArgument, message: error.message)
        }
    }
}
