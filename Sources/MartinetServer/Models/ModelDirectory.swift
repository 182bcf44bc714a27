internal import MartinetAPI
internal import MartinetEngine
internal import Synchronization

/// The models that are served at this moment. It may be replaced while requests run: those keep what they began with.
public final class ModelDirectory: Sendable {
    private let deployments: Mutex<[Deployment]>

    /// Serves models; the first is the one that requests get which name none.
    public init(_ deployments: [Deployment]) {
        self.deployments = Mutex(deployments)
    }

    /// All of them, in order.
    public var all: [Deployment] { deployments.withLock(\.self) }

    /// Serves other models from now on.
    public func replace(with deployments: [Deployment]) {
        self.deployments.withLock { $0 = deployments }
    }

    /// The model of a name; the first for none.
    ///
    /// - Throws: ``APIError`` 404 where no model has the name.
    func deployment(named name: String?) throws(APIError) -> Deployment {
        let deployments = all
        guard let name else {
            guard let first = deployments.first else {
                throw APIError(status: 404, "This server has no model.", code: "model_not_found")
            }
            return first
        }
        guard let found = deployments.first(where: { $0.model.names.contains(name) }) else {
            throw .unknownModel(name, served: deployments.flatMap(\.model.names))
        }
        return found
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
