/// What runs the models, as the server's own routes and metrics see it.
public protocol FleetControl: Sendable {
    /// The models and their workers at this moment.
    func models() -> [ModelWorkers]

    /// Replaces the workers of a model one after the other by new ones; no request is lost.
    ///
    /// - Parameter model: a model's name; `nil` for all models.
    /// - Throws: where a new worker does not come up; the old ones go on then.
    func replaceWorkers(of model: String?) async throws

    /// Reads the configuration again and does what changed.
    ///
    /// - Returns: what changed, one line each; empty where nothing did.
    /// - Throws: where the configuration cannot be used; everything stays as it was then.
    func reload() async throws -> [String]
}

/// A model and its workers.
public struct ModelWorkers: Sendable {
    /// One worker.
    public struct Worker: Sendable {
        /// Names it among the model's workers.
        public var id: String
        /// Its process, where it is one of this machine.
        public var processID: Int?
        /// `starting`, `ready`, `restarting`, `failed`, `stopped`.
        public var state: String
        /// How often it was started again.
        public var restarts: Int
        /// Sequences sent to it that have not ended.
        public var outstandingSequences: Int
        /// Tokens of those still to compute, as far as known.
        public var outstandingTokens: Int

        /// Describes a worker.
        public init(
            id: String, processID: Int?, state: String, restarts: Int, outstandingSequences: Int = 0,
            outstandingTokens: Int = 0
        ) {
            self.id = id
            self.processID = processID
            self.state = state
            self.restarts = restarts
            self.outstandingSequences = outstandingSequences
            self.outstandingTokens = outstandingTokens
        }
    }

    /// The model's name.
    public var model: String
    /// Its workers.
    public var workers: [Worker]
    /// Sequences that wait for a worker.
    public var waiting = 0
    /// Workers lost, by cause; only grows.
    public var losses: [String: UInt64] = [:]
    /// Sequences that had to go on elsewhere, by what became of them; only grows.
    public var resumptions: [String: UInt64] = [:]
    /// Requests refused because they crash workers; only grows.
    public var refusedRequests: UInt64 = 0

    /// Describes a model's workers.
    public init(model: String, workers: [Worker]) {
        self.model = model
        self.workers = workers
    }
}
