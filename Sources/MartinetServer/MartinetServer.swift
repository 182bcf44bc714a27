public import Hummingbird
internal import HTTPTypes
internal import HummingbirdCore
public import Logging
internal import MartinetAPI
public import MartinetStorage
internal import MartinetTelemetry
internal import MartinetWebSocketHTTP
internal import NIOCore
internal import ServiceLifecycle
internal import UnixSignals

/// The HTTP server: an engine, its routes, and what runs beside them.
///
/// ```swift
/// let models = ModelDirectory([Deployment(model: model, service: EngineService(engine))])
/// let server = MartinetServer(directory: models, configuration: .init(), logger: logger)
/// try await server.run { port in print("http://127.0.0.1:\(port)") }
/// ```
public struct MartinetServer: Sendable {
    private let directory: ModelDirectory
    private let fleet: (any FleetControl)?
    private let storage: Storage?
    private let batches: BatchQueue?
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let state = ServerState()
    private let metrics: ServerMetrics
    private let certificates: Result<ServerCertificates?, ServerCertificates.LoadError>
    private let limit: ConnectionLimit

    /// Describes a server; nothing listens yet.
    ///
    /// - Parameters:
    ///   - fleet: what runs the models' workers, where they have workers.
    ///   - storage: what outlives the process; without it there are no files, no batches and no stored responses.
    public init(
        directory: ModelDirectory, fleet: (any FleetControl)? = nil, storage: Storage? = nil,
        configuration: ServerConfiguration, logger: Logger
    ) {
        self.directory = directory
        self.fleet = fleet
        self.storage = storage
        batches = storage.map { BatchQueue(storage: $0) { Int(ProcessFigures.now) } }
        self.configuration = configuration
        self.logger = logger
        metrics = ServerMetrics(
            directory: directory, state: state, version: configuration.version,
            workers: { fleet?.models().flatMap(\.workers).compactMap(\.processID) ?? [] })
        certificates = Result { () throws(ServerCertificates.LoadError) in
            guard let tls = configuration.tls else { return nil }
            return try ServerCertificates(
                .init(certificate: tls.certificate, key: tls.key, clientAuthorities: tls.clientAuthorities))
        }
        // A quarter of the descriptors is for files, workers and other servers.
        let descriptors = ConnectionLimit.raiseDescriptorLimit()
        limit = ConnectionLimit(min(configuration.maxConnections ?? 100_000, max(16, descriptors / 4 * 3)))
        if let fleet { FleetFigures(registry: metrics.registry, fleet: fleet).register() }
    }

    /// The server as a Hummingbird application; tests drive it without a socket.
    public func application(
        onReady: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        application(
            at: .hostname(configuration.host, port: configuration.port), certificates: certificates,
            responder: router().buildResponder()
        ) { [state] channel in
            state.markReady()
            await onReady(channel.localAddress?.port ?? 0)
        }
    }

    private func application(
        at address: BindAddress, certificates: Result<ServerCertificates?, ServerCertificates.LoadError>,
        responder: any HTTPResponder<MartinetContext>, onReady: @escaping @Sendable (any Channel) async -> Void
    ) -> some ApplicationProtocol {
        Application(
            responder: AnyResponder(responder: responder),
            server: HTTPServerBuilder { http in
                var channel = channelConfiguration(responder)
                channel.certificates = try certificates.get()
                return HTTPChannel(channel, responder: http)
            },
            configuration: ApplicationConfiguration(address: address, serverName: "martinet", backlog: 4096),
            onServerRunning: onReady, logger: logger)
    }

    private func channelConfiguration(_ responder: any HTTPResponder<MartinetContext>) -> HTTPChannelConfiguration {
        var channel = HTTPChannelConfiguration()
        channel.maxHeaderBytes = configuration.maxHeaderBytes
        channel.headTimeout = TimeAmount(configuration.requestTimeout)
        channel.bodyTimeout = TimeAmount(configuration.requestTimeout)
        channel.idleTimeout = TimeAmount(configuration.idleTimeout)
        channel.limit = limit
        channel.errorBody = { ("application/json", APIError(status: $0, $1, code: "invalid_http").body) }
        let origins = CrossOriginPolicy(configuration.corsOrigins)
        channel.webSocket = WebSocketEndpoint(
            path: WebSocketSession.path, maxMessageBytes: configuration.maxWebSocketMessageBytes,
            allows: origins.allowsUnasked
        ) { [logger, configuration] connection in
            await WebSocketSession(
                connection, responder: responder, maxGenerations: configuration.maxWebSocketGenerations, logger: logger
            ).run()
        }
        return channel
    }

    /// What listens: the port, a Unix socket, or both. The server is ready when all of them are.
    private func listeners(
        _ responder: any HTTPResponder<MartinetContext>, onReady: @escaping @Sendable (Int) async -> Void
    ) throws -> [any ServiceLifecycle.Service] {
        let readiness = ListenerReadiness(
            count: (configuration.listensOnPort ? 1 : 0) + (configuration.unixSocket == nil ? 0 : 1)
        ) { [state] port in
            state.markReady()
            await onReady(port)
        }
        var listeners: [any ServiceLifecycle.Service] = []
        if let path = configuration.unixSocket {
            let file = try UnixSocketFile(path)
            listeners.append(
                UnixSocketListener(
                    file: file,
                    application: application(
                        at: .unixDomainSocket(path: path), certificates: .success(nil), responder: responder
                    ) { _ in
                        file.allowGroup()
                        await readiness.mark(port: nil)
                    }))
        }
        if configuration.listensOnPort {
            listeners.append(
                application(
                    at: .hostname(configuration.host, port: configuration.port), certificates: certificates,
                    responder: responder
                ) { await readiness.mark(port: $0.localAddress?.port) })
        }
        return listeners
    }

    /// Listens until SIGTERM or SIGINT, then ends in order: readiness fails, running requests end, the engine stops, the
    /// socket closes.
    ///
    /// - Parameters:
    ///   - onRPC: runs with gRPC's port, where it has one, once that listens.
    ///   - onReady: runs with the port once the server listens; 0 where it listens on a Unix socket alone.
    public func run(
        onRPC: @escaping @Sendable (Int) async -> Void = { _ in },
        onReady: @escaping @Sendable (Int) async -> Void
    ) async throws {
        let drain = DrainService(
            state: state, directory: directory, timeout: configuration.drainTimeout, logger: logger)
        let certificates = try certificates.get()
        let rpc = try rpc()
        // The last to start is the first to stop.
        var services: [any ServiceLifecycle.Service] = [MetricsSampler(metrics: metrics)]
        if let rpc { services.append(rpc) }
        let responder = router().buildResponder()
        services += try listeners(responder) { port in
            if let rpc {
                // Without it the server is about to end.
                guard let port = await rpc.port else { return }
                await onRPC(port)
            }
            await onReady(port)
        }
        services.append(drain)
        if let certificates {
            services.insert(CertificateService(certificates: certificates, logger: logger), at: 0)
        }
        if let fleet = fleet as? ServedFleet {
            services.insert(FleetGuard(fleet: fleet), at: 0)
            services.insert(ReloadService(fleet: fleet, logger: logger), at: 0)
        }
        if let batches { services.append(service(of: batches, responder)) }
        if let port = configuration.healthPort {
            services.insert(
                ProbeService(pages: pages, host: configuration.host, port: port, logger: logger), at: 0)
        }
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        // Connections whose clients neither read nor leave do not hold up the end.
        group.maximumGracefulShutdownDuration = configuration.drainTimeout + .seconds(5)
        do {
            try await ServiceGroup(configuration: group).run()
        } catch  where state.isDraining {
            logger.warning("connections were cut at shutdown", metadata: ["error": "\(error)"])
        }
    }

    /// What answers batches, by this server's own routes: the last whom the engine serves.
    private func service(
        of queue: BatchQueue, _ responder: any HTTPResponder<MartinetContext>
    ) -> BatchService {
        let calls = InternalCalls(responder: responder, logger: logger)
        return BatchService(
            queue: queue, concurrency: configuration.batchConcurrency, maxLineBytes: configuration.maxBodyBytes,
            registry: metrics.registry, logger: logger
        ) { path, body, name in
            try await calls.post(path, body, requestID: name, priority: Int(Int32.max))
        }
    }

    private var pages: StatusPages {
        StatusPages(
            directory: directory, state: state, metrics: metrics, stallTimeout: configuration.stallTimeout,
            version: configuration.version)
    }

    private var calls: CallRouter {
        let forwarder = UpstreamForwarder(state: state, metrics: metrics, logger: logger)
        return CallRouter(
            directory: directory,
            runner: GenerationRunner(
                state: state, metrics: metrics, logger: logger, keepAlive: configuration.keepAlive),
            dispatcher: RequestDispatcher(directory: directory, forwarder: forwarder, logger: logger),
            maxBodyBytes: configuration.maxBodyBytes,
            sessionHeader: HTTPField.Name(configuration.sessionHeader) ?? .session,
            isStrict: configuration.strictRequests)
    }

    /// The gRPC server; `nil` where it has no port.
    ///
    /// - Throws: where the host's name has no address, or certificates cannot be used.
    package func rpc() throws -> RPCServer? {
        guard let port = configuration.grpcPort else { return nil }
        let calls = calls
        let rpc = RPCCalls(
            metrics: RPCMetrics(metrics.registry), sessionKey: configuration.sessionHeader.lowercased(), logger: logger)
        return try RPCServer(
            host: configuration.host, port: port, tls: configuration.tls, maxMessageBytes: configuration.maxBodyBytes,
            services: [
                InferenceRPCs(calls: calls, rpc: rpc), OpenInferenceRPCs(calls: calls, rpc: rpc, pages: pages),
                HealthRPCs(pages: pages), ReflectionRPCs(descriptors: try ServiceDescriptors()),
            ], logger: logger)
    }

    private var routes: [any RouteGroup] {
        let calls = calls
        let stored = storage.map { DatabaseResponseStore($0, logger: logger) }
        var groups: [any RouteGroup] = [
            StatusRoutes(pages: pages), InferenceRoutes(calls: calls), EmbeddingRoutes(calls: calls),
            AnthropicRoutes(calls: calls), ResponsesRoutes(calls: calls, store: stored),
            OpenInferenceRoutes(calls: calls, pages: pages),
            WebSocketRoutes(origins: CrossOriginPolicy(configuration.corsOrigins)),
        ]
        if let fleet { groups.append(AdminRoutes(fleet: fleet)) }
        if let storage, let batches {
            let gate = StorageGate(logger: logger)
            groups.append(
                FileRoutes(
                    storage: storage, gate: gate, origins: CrossOriginPolicy(configuration.corsOrigins)))
            groups.append(BatchRoutes(calls: calls, queue: batches, gate: gate))
        }
        groups.append(DocumentationRoutes(describing: groups, version: configuration.version))
        if storage == nil { groups.append(StorageOffRoutes()) }
        return groups
    }

    /// The methods and paths that are routed, to hold the API's document to.
    package var registeredRoutes: [(method: String, path: String)] {
        router().routes.map { (method: $0.method.rawValue, path: "\($0.path)") }
    }

    private func router() -> Router<MartinetContext> {
        let router = Router(context: MartinetContext.self, options: .autoGenerateHeadEndpoints)
        let groups = routes
        router.add(
            middleware: RequestMiddleware(
                metrics: metrics, logger: logger, routes: RouteTable(groups),
                origins: CrossOriginPolicy(configuration.corsOrigins)))
        for group in groups { group.add(to: router) }
        return router
    }
}

/// A responder of any kind.
private struct AnyResponder: HTTPResponder {
    let responder: any HTTPResponder<MartinetContext>

    func respond(to request: Request, context: MartinetContext) async throws -> Response {
        try await responder.respond(to: request, context: context)
    }
}
