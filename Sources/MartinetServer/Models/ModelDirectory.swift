internal import MartinetAPI
internal import MartinetEngine
package import MartinetFleet
package import MartinetUpstreams
internal import Synchronization

/// Other servers that answer to names of models.
package struct UpstreamDestination: Sendable {
    /// The names.
    package var names: [String]
    /// The servers.
    package var pool: UpstreamPool

    /// Lets servers answer to names.
    package init(names: [String], pool: UpstreamPool) {
        self.names = names
        self.pool = pool
    }
}

/// Where a request can go.
enum Destination: Sendable {
    case model(Deployment)
    case upstreams(UpstreamDestination)
}

/// The models that are served at this moment, here or by other servers. It may be replaced while requests run: those
/// keep what they began with.
public final class ModelDirectory: Sendable {
    private struct Contents {
        var deployments: [Deployment]
        var upstreams: [UpstreamDestination]
        var rules: RoutingTable?
    }

    private let contents: Mutex<Contents>

    /// Serves models; the first is the one that requests get which name none.
    public init(_ deployments: [Deployment]) {
        contents = Mutex(Contents(deployments: deployments, upstreams: []))
    }

    /// All models served here, in order.
    public var all: [Deployment] { contents.withLock(\.deployments) }
    /// The other servers.
    package var upstreams: [UpstreamDestination] { contents.withLock(\.upstreams) }
    /// Whether a request may go elsewhere than to the model here that it names.
    var routes: Bool { contents.withLock { !$0.upstreams.isEmpty || $0.rules != nil } }
    /// The name that a request means which names none.
    var firstName: String {
        contents.withLock { $0.deployments.first?.model.name ?? $0.upstreams.first?.names.first ?? "" }
    }
    /// The names that other servers answer to.
    var upstreamNames: [String] { upstreams.flatMap(\.names) }

    /// Serves others from now on.
    package func replace(
        with deployments: [Deployment], upstreams: [UpstreamDestination] = [], rules: RoutingTable? = nil
    ) {
        contents.withLock { $0 = Contents(deployments: deployments, upstreams: upstreams, rules: rules) }
    }

    /// What the rules say of a request; `nil` where none is for it.
    func plan(for features: @autoclosure () -> RequestFeatures) -> RoutePlan? {
        contents.withLock(\.rules)?.plan(for: features())
    }

    /// A pool of the rules: a model by its own name, or other servers by their pool's.
    func pool(_ name: String) -> Destination? {
        let contents = contents.withLock(\.self)
        if let deployment = contents.deployments.first(where: { $0.model.name == name }) { return .model(deployment) }
        return contents.upstreams.first { $0.pool.name == name }.map(Destination.upstreams)
    }

    /// The model of a name that is served here; the first for none.
    ///
    /// - Throws: ``APIError`` 404 where no model has the name.
    func deployment(named name: String?) throws(APIError) -> Deployment {
        guard case .model(let deployment) = try destination(named: name) else {
            throw .unknownModel(name ?? "", served: all.flatMap(\.model.names))
        }
        return deployment
    }

    /// Where the requests of a model go; for no name, the first.
    ///
    /// - Throws: ``APIError`` 404 where nothing has the name.
    func destination(named name: String?) throws(APIError) -> Destination {
        let contents = contents.withLock(\.self)
        let deployment = contents.deployments.first { name.map($0.model.names.contains) ?? true }
        if let deployment { return .model(deployment) }
        let upstream = contents.upstreams.first { name.map($0.names.contains) ?? true }
        if let upstream { return .upstreams(upstream) }
        throw .unknownModel(
            name ?? "", served: contents.deployments.flatMap(\.model.names) + contents.upstreams.flatMap(\.names))
    }

    /// What keeps a model from being served, and which; `nil` where all are served.
    var failure: String? {
        let deployments = all
        for deployment in deployments {
            guard let failure = deployment.service.statistics().failure else { continue }
            return deployments.count > 1 ? "\(deployment.model.name): \(failure)" : failure
        }
        return nil
    }

    /// The longest time that an engine with work made no step, in seconds.
    var secondsSinceProgress: Double { all.map { $0.service.statistics().secondsSinceProgress }.max() ?? 0 }
}
