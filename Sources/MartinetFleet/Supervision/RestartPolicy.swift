/// When a worker that ended is started again: at once or after a growing delay, or no more.
///
/// Failures that the worker or its command may be to blame for count: it ended before it was ready, was not ready in
/// time, crashed, ran out of memory, or simply ended. Too many of those in a while are a crash loop. A worker killed or
/// stopped from outside comes back as often as that happens.
package struct RestartPolicy: Sendable {
    /// The bounds.
    package struct Options: Sendable, Hashable {
        /// The delay after the first failure; it doubles with each.
        package var firstDelay = Duration.milliseconds(100)
        /// The longest delay.
        package var longestDelay = Duration.seconds(30)
        /// How long a worker must have been ready for its failures to be forgotten.
        package var stableTime = Duration.seconds(60)
        /// As many failures within ``window`` are a crash loop.
        package var maxFailures = 5
        /// See ``maxFailures``.
        package var window = Duration.seconds(120)

        /// The defaults.
        package init() {}
    }

    /// What happened to the worker.
    package enum Event: Sendable, Hashable {
        /// It answers.
        case ready
        /// It ended.
        case exited(WorkerExit)
        /// It could not be started at all.
        case didNotStart
        /// It lived, but made no step, and was killed.
        case wedged
        /// Its connection broke while it lived, and it was killed.
        case disconnected
        /// It was not ready in time, and was killed.
        case startTimedOut
    }

    /// What to do.
    package enum Action: Sendable, Hashable {
        /// Start it again after a delay.
        case spawn(after: Duration)
        /// Start it no more: it failed this often.
        case giveUp(failures: Int)
    }

    private let options: Options
    /// When the failures that count happened, in the window.
    private var failures: [ContinuousClock.Instant] = []
    private var failuresInRow = 0
    private var readySince: ContinuousClock.Instant?

    /// Makes the policy of one worker.
    package init(_ options: Options = Options()) { self.options = options }

    /// Takes an event.
    ///
    /// - Returns: what to do; `nil` where nothing is to be done.
    package mutating func handle(_ event: Event, at now: ContinuousClock.Instant) -> Action? {
        if event == .ready {
            readySince = now
            return nil
        }
        let wasReady = readySince != nil
        if let readySince, now - readySince >= options.stableTime {
            failuresInRow = 0
            failures = []
        }
        readySince = nil
        if counts(event) {
            failures = failures.filter { now - $0 < options.window } + [now]
            guard failures.count < options.maxFailures else { return .giveUp(failures: failures.count) }
        } else if wasReady {
            failuresInRow = 0
            return .spawn(after: .zero)
        }
        failuresInRow += 1
        var delay = options.firstDelay
        for _ in 1..<failuresInRow where delay < options.longestDelay { delay *= 2 }
        return .spawn(after: min(delay, options.longestDelay))
    }

    private func counts(_ event: Event) -> Bool {
        switch event {
        case .ready, .wedged, .disconnected: false
        case .startTimedOut, .didNotStart: true
        // Killed while it starts is killed all the same.
        case .exited(let exit): exit.loss != .killed
        }
    }
}
