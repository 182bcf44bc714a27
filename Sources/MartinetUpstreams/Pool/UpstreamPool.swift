internal import AsyncHTTPClient
package import Logging
package import MartinetFleet
internal import FoundationEssentials
internal import NIOCore
internal import Synchronization

/// OpenAI-compatible servers that can stand in for each other.
///
/// ```swift
/// let pool = try UpstreamPool(configuration, policy: policy, logger: logger)
/// async let _: Void = pool.run()          // probes and discovery
/// let body = try UpstreamRequestBody(path: "/v1/chat/completions", bytes: bytes)
/// let response = try await pool.send(UpstreamRequest(body))
/// ```
package final class UpstreamPool: Sendable {
    struct State {
        var members: [Member] = []
        var retryBudget: RetryBudget
        var hedgeBudget: RetryBudget
        var generator: JitterGenerator
        var discoveryProblems: [String: String] = [:]
    }

    let configuration: UpstreamPoolConfiguration
    let policy: any RoutingPolicy
    let logger: Logger
    let clients: [UpstreamClient]
    let queue: WaitingQueue
    let state: Mutex<State>
    let lookup: AddressLookup

    /// A pool whose fixed members are there at once, and those of DNS and files once ``run()`` has found them.
    ///
    /// - Parameters:
    ///   - policy: chooses among members that may take a request.
    ///   - environment: where API keys are looked up.
    ///   - lookup: finds the addresses of a name.
    /// - Throws: ``UpstreamConfigurationError``.
    package init(
        _ configuration: UpstreamPoolConfiguration, policy: any RoutingPolicy, logger: Logger,
        environment: [String: String] = ProcessInfo.processInfo.environment, lookup: AddressLookup = .system
    ) throws {
        try configuration.validate()
        self.configuration = configuration
        self.policy = policy
        self.logger = logger
        self.lookup = lookup
        queue = WaitingQueue(maximum: configuration.maxQueued)
        var members: [Member] = []
        var clients: [UpstreamClient] = []
        do {
            for upstream in configuration.upstreams {
                let client = try UpstreamClient(upstream, pool: configuration, environment: environment)
                clients.append(client)
                guard upstream.discovery == .fixed else { continue }
                let address = try UpstreamAddress(upstream.url)
                let id = upstream.name ?? address.authority
                guard !members.contains(where: { $0.id == id }) else {
                    throw UpstreamConfigurationError(
                        field: "upstreams", problem: "has two members named `\(id)`; give them a `name` each")
                }
                members.append(
                    Member(
                        id: id, address: address, hostHeader: address.authority, client: client,
                        breaker: CircuitBreaker(configuration.breaker)))
            }
        } catch {
            // A client that was never used shuts down without waiting for anything.
            for client in clients { client.http.shutdown { _ in } }
            throw error
        }
        self.clients = clients
        state = Mutex(
            State(
                members: members, retryBudget: RetryBudget(configuration.retryBudget),
                hedgeBudget: configuration.hedging.budget,
                generator: JitterGenerator(seed: configuration.seed ?? .random(in: .min ... .max))))
    }

    /// Looks after the pool until the task is cancelled: probes idle members, finds members.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.probeMembers() }
            for client in clients where client.configuration.discovery != .fixed {
                group.addTask { await self.discover(client) }
            }
        }
    }

    /// Closes all connections. Streams that are still open break.
    package func shutdown() async {
        for client in clients { await client.shutdown() }
    }

    /// The pool's name.
    package var name: String { configuration.name }

    var members: [Member] { state.withLock { $0.members } }

    /// Tokens that the members still have to compute, as well as one can tell.
    package var outstandingTokens: Int {
        members.reduce(0) { $0 + $1.state.withLock { $0.outstandingTokens } }
    }

    /// How full the pool is: requests at members that can be used, of those that they may have. 1 or more where nothing
    /// is free, as when no member can be used.
    package var saturation: Double {
        let now = ContinuousClock.now
        var open = queue.count
        var places = 0
        for member in members {
            if case .out = member.standing(now: now) { continue }
            open += member.state.withLock { $0.outstandingRequests }
            places += member.client.configuration.maxConcurrent
        }
        return places == 0 ? 1 : Double(open) / Double(places)
    }

    func logBroken(_ error: UpstreamError) {
        logger.warning(
            "A stream broke off",
            metadata: ["pool": "\(configuration.name)", "code": "\(error.code)", "reason": "\(error.message)"])
    }
}
