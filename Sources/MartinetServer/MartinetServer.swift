public import Hummingbird
internal import HTTPTypes
internal import HummingbirdCore
public import Logging
public import MartinetAPI
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
    private let responses: (any ResponseStore)?
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let state = ServerState()
    private let metrics: ServerMetrics

    /// Describes a server; nothing listens yet.
    ///
    /// - Parameters:
    ///   - fleet: what runs the models' workers, where they have workers.
    ///   - responses: keeps answers of `/v1/responses`; without it they are not kept.
    public init(
        directory: ModelDirectory, fleet: (any FleetControl)? = nil, responses: (any ResponseStore)? = nil,
        configuration: ServerConfiguration, logger: Logger
    ) {
        self.directory = directory
        self.fleet = fleet
        self.responses = responses
        self.configuration = configuration
        self.logger = logger
        metrics = ServerMetrics(
            directory: directory, state: state, version: configuration.version,
            workers: { fleet?.models().flatMap(\.workers).compactMap(\.processID) ?? [] })
        if let fleet { FleetFigures(registry: metrics.registry, fleet: fleet).register() }
    }

    /// The server as a Hummingbird application; tests drive it without a socket.
    public func application(
        onReady: @escaping @Sendable (Int) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        let idle = configuration.idleTimeout
        return Application(
            router: router(),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [DisconnectHandler()],
                    idleTimeout: .nanoseconds(Int64(idle / .nanoseconds(1))))),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: "martinet",
                backlog: 1024),
            onServerRunning: { [state] channel in
                state.markReady()
                await onReady(channel.localAddress?.port ?? 0)
            },
            logger: logger)
    }

    /// Listens until SIGTERM or SIGINT, then ends in order: readiness fails, running requests end, the engine stops, the
    /// socket closes.
    ///
    /// - Parameter onReady: runs with the port once the server listens.
    public func run(onReady: @escaping @Sendable (Int) async -> Void) async throws {
        let drain = DrainService(
            state: state, directory: directory, timeout: configuration.drainTimeout, logger: logger)
        // The last to start is the first to stop.
        var services: [any ServiceLifecycle.Service] = [
            MetricsSampler(metrics: metrics), application(onReady: onReady), drain,
        ]
        if let fleet = fleet as? ServedFleet {
            services.insert(FleetGuard(fleet: fleet), at: 0)
            services.insert(ReloadService(fleet: fleet, logger: logger), at: 0)
        }
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

    private var pages: StatusPages {
        StatusPages(
            directory: directory, state: state, metrics: metrics, stallTimeout: configuration.stallTimeout,
            version: configuration.version)
    }

    private var routes: [any RouteGroup] {
        let runner = GenerationRunner(state: state, metrics: metrics, logger: logger)
        let forwarder = UpstreamForwarder(state: state, metrics: metrics, logger: logger)
        let calls = CallRouter(
            directory: directory, runner: runner,
            dispatcher: RequestDispatcher(directory: directory, forwarder: forwarder, logger: logger),
            maxBodyBytes: configuration.maxBodyBytes,
            sessionHeader: HTTPField.Name(configuration.sessionHeader) ?? .session,
            isStrict: configuration.strictRequests)
        var groups: [any RouteGroup] = [
            StatusRoutes(pages: pages), InferenceRoutes(calls: calls), AnthropicRoutes(calls: calls),
            ResponsesRoutes(calls: calls, store: responses),
        ]
        if let fleet { groups.append(AdminRoutes(fleet: fleet)) }
        return groups
    }

    private func router() -> Router<MartinetContext> {
        let router = Router(context: MartinetContext.self, options: .autoGenerateHeadEndpoints)
        let groups = routes
        var methods: [String: [HTTPRequest.Method]] = [:]
        for group in groups { methods.merge(group.methods) { $0 + $1 } }
        router.add(middleware: RequestMiddleware(metrics: metrics, logger: logger, methods: methods))
        for group in groups { group.add(to: router) }
        return router
    }
}
