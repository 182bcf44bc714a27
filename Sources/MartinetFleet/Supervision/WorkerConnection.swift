package import MartinetEngine

/// Which start of which worker.
package struct WorkerLaunch: Sendable, Hashable {
    /// Names the worker, and the pool's member.
    package var id: String
    /// Counts the starts of all workers, from 1: no two live processes share a number, so a socket's path may hold it.
    package var generation: Int
    /// The process that runs; 0 before it does.
    package var processID: Int32
}

/// A worker that answers.
package struct WorkerConnection: Sendable {
    /// What it runs sequences with.
    package var engine: any SequenceEngine
    /// What is seen of its life.
    package var liveness: @Sendable () -> WorkerLiveness
    /// Closes the connection.
    package var close: @Sendable () async -> Void

    /// Describes a connection.
    package init(
        engine: any SequenceEngine, liveness: @escaping @Sendable () -> WorkerLiveness,
        close: @escaping @Sendable () async -> Void = {}
    ) {
        self.engine = engine
        self.liveness = liveness
        self.close = close
    }
}
