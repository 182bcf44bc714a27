/// A worker at one moment.
package struct WorkerStatus: Sendable, Hashable {
    /// Where it stands.
    package enum State: String, Sendable, Hashable, CaseIterable {
        /// Its first process does not answer yet.
        case starting
        /// It is in the pool.
        case ready
        /// It ended and comes back.
        case restarting
        /// It was given up.
        case failed
        /// It was shut down.
        case stopped
    }

    /// Names it.
    package var id: String
    /// Where it stands.
    package var state = State.starting
    /// Its process, where one lives.
    package var processID: Int32?
    /// Times that it was lost when it was ready, by cause; they only grow.
    package var losses: [WorkerLoss: UInt64] = [:]
    /// Times that it did not become ready.
    package var failedStarts: UInt64 = 0
    /// What happened last.
    package var lastEvent = ""
}
