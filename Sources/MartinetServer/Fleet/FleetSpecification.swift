package import MartinetFleet
package import MartinetUpstreams

/// All that a server serves, as its configuration says.
package struct FleetSpecification: Sendable {
    /// A pool of other servers, and the names of models that it answers to.
    package struct Upstreams: Sendable, Hashable {
        /// The names.
        package var names: [String]
        /// The pool.
        package var pool: UpstreamPoolConfiguration

        /// Describes a pool.
        package init(names: [String], pool: UpstreamPoolConfiguration) {
            self.names = names
            self.pool = pool
        }
    }

    /// The models, in order.
    package var models: [ModelSpecification]
    /// The pools of other servers, in order.
    package var upstreams: [Upstreams]
    /// Which pool gets a request, where that does not follow from its model alone.
    package var rules: RoutingTable?

    /// Describes a fleet.
    package init(models: [ModelSpecification] = [], upstreams: [Upstreams] = [], rules: RoutingTable? = nil) {
        self.models = models
        self.upstreams = upstreams
        self.rules = rules
    }
}
