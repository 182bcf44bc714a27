/// What a worker's connection shows of it.
package struct WorkerLiveness: Sendable, Hashable {
    /// Whether the connection stands.
    package var isConnected: Bool
    /// When its last sign of life came.
    package var lastHeartbeat: ContinuousClock.Instant
    /// Steps that it has made.
    package var steps: UInt64
    /// Whether it has sequences that run or wait.
    package var hasWork: Bool

    /// Describes a worker's life.
    package init(isConnected: Bool, lastHeartbeat: ContinuousClock.Instant, steps: UInt64, hasWork: Bool) {
        self.isConnected = isConnected
        self.lastHeartbeat = lastHeartbeat
        self.steps = steps
        self.hasWork = hasWork
    }
}

/// Finds a worker that lives but does nothing: no sign of life, or work and no step, for too long.
///
/// It counts the time between its own looks, each for no more than twice what it should be. So where this process itself
/// stood still, a worker is not taken for wedged for what nobody read meanwhile.
package struct StallDetector {
    /// What is wrong with a worker.
    package enum Finding: Sendable, Hashable {
        /// It lives, but does nothing: what exactly.
        case wedged(String)
        /// Its connection broke and did not come back.
        case disconnected
    }

    /// How long a connection may be away before it counts: the end of the process says more, and comes first.
    package static let disconnectionGrace = Duration.seconds(2)

    private let timeout: Duration
    private let interval: Duration
    private var last: (liveness: WorkerLiveness, time: ContinuousClock.Instant)?
    private var silence = Duration.zero
    private var idleness = Duration.zero
    private var absence = Duration.zero

    /// Makes a detector for one connection.
    ///
    /// - Parameter interval: the time that should lie between two looks.
    package init(timeout: Duration, interval: Duration) {
        self.timeout = timeout
        self.interval = interval
    }

    /// Takes a look.
    package mutating func observe(_ liveness: WorkerLiveness, at now: ContinuousClock.Instant) -> Finding? {
        defer { last = (liveness, now) }
        guard let last else { return nil }
        let elapsed = min(now - last.time, interval * 2)
        silence = liveness.lastHeartbeat == last.liveness.lastHeartbeat ? silence + elapsed : .zero
        let stands = liveness.hasWork && last.liveness.hasWork && liveness.steps == last.liveness.steps
        idleness = stands ? idleness + elapsed : .zero
        absence = liveness.isConnected ? .zero : absence + elapsed
        if absence >= min(Self.disconnectionGrace, timeout) { return .disconnected }
        if silence >= timeout { return .wedged("no sign of life for \(timeout)") }
        if idleness >= timeout { return .wedged("work, but no step for \(timeout)") }
        return nil
    }
}
