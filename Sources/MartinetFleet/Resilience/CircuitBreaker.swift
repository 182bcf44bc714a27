/// Keeps requests away from a member of a pool that fails.
///
/// It is closed while all is well. It opens after failures in a row, or when too large a share of the requests in a
/// window failed; then nothing is admitted until a cool-down has passed. After it the breaker is half open: a few
/// requests at a time try the member. Enough successes close it; one failure opens it again for twice as long.
///
/// A pure state machine: every call says what time it is.
package struct CircuitBreaker: Sendable {
    /// When to open, for how long, and when to close.
    package struct Settings: Sendable, Hashable {
        /// Failures in a row that open the breaker; at least 1.
        package var consecutiveFailures = 5
        /// The share of failed requests in the window that opens it, above 0; 1 or less.
        package var failureShare = 0.5
        /// The window of that share.
        package var window = Duration.seconds(30)
        /// Requests that the window must hold before the share counts; at least 1.
        package var minimumCount = 20
        /// The first time without requests after it opened.
        package var coolDown = Duration.seconds(2)
        /// What the doubling cool-down ends at.
        package var maximumCoolDown = Duration.seconds(60)
        /// Requests that may try the member at the same time while half open; at least 1.
        package var trials = 1
        /// Successes that close it; at least 1.
        package var successes = 2

        /// The usual settings.
        package init() {}
    }

    /// What the breaker does with requests.
    package enum State: String, Sendable {
        /// Admits all.
        case closed
        /// Admits none until the cool-down has passed.
        case open
        /// Admits a few.
        case halfOpen = "half_open"
    }

    /// How an admitted request ended.
    package enum Outcome: Sendable {
        /// The member did its work.
        case success
        /// The member failed.
        case failure
        /// Neither: the client left, or another member was faster.
        case abandoned
    }

    /// Shows that a request was admitted; goes back with its outcome.
    package struct Admission: Sendable, Hashable {
        fileprivate var epoch: Int
    }

    /// What the breaker does with requests. It leaves `open` with the first request that is admitted.
    package private(set) var state = State.closed
    /// How often it opened.
    package private(set) var openings = 0
    /// How often it became half open.
    package private(set) var halfOpenings = 0
    /// How often it closed again.
    package private(set) var closings = 0
    /// When an open breaker admits a request again.
    package private(set) var opensUntil: ContinuousClock.Instant?

    private let settings: Settings
    private var failuresInRow = 0
    private var counts: SlidingCounts
    private var coolDown: Duration
    private var openTrials = 0
    private var trialSuccesses = 0
    /// Goes up with each change of state, so that requests from before it do not count after it.
    private var epoch = 0

    /// A closed breaker.
    package init(_ settings: Settings = Settings()) {
        self.settings = settings
        counts = SlidingCounts(window: settings.window)
        coolDown = settings.coolDown
    }

    /// Whether ``admit(now:)`` would admit a request.
    package func admits(now: ContinuousClock.Instant) -> Bool {
        switch state {
        case .closed: true
        case .open: opensUntil.map { now >= $0 } ?? true
        case .halfOpen: openTrials < max(settings.trials, 1)
        }
    }

    /// Admits a request, or does not.
    ///
    /// - Returns: what ``record(_:of:now:)`` must get exactly once when the request has ended.
    package mutating func admit(now: ContinuousClock.Instant) -> Admission? {
        guard admits(now: now) else { return nil }
        if state == .open { change(to: .halfOpen, now: now) }
        if state == .halfOpen { openTrials += 1 }
        return Admission(epoch: epoch)
    }

    /// Takes note of how an admitted request ended. What was admitted before the last change of state does not count.
    package mutating func record(_ outcome: Outcome, of admission: Admission, now: ContinuousClock.Instant) {
        guard admission.epoch == epoch else { return }
        if state == .halfOpen { openTrials = max(0, openTrials - 1) }
        switch (outcome, state) {
        case (.abandoned, _), (_, .open): break
        case (.success, .closed):
            failuresInRow = 0
            counts.add(total: 1, now: now)
        case (.success, .halfOpen):
            trialSuccesses += 1
            if trialSuccesses >= settings.successes { change(to: .closed, now: now) }
        case (.failure, _): fail(now: now)
        }
    }

    /// Takes note of a failure outside of a request's admission: one that had counted as a success broke off later.
    package mutating func fail(now: ContinuousClock.Instant) {
        switch state {
        case .open: break
        case .halfOpen:
            coolDown = min(coolDown * 2, settings.maximumCoolDown)
            change(to: .open, now: now)
        case .closed:
            failuresInRow += 1
            counts.add(total: 1, marked: 1, now: now)
            let sums = counts.sums(now: now)
            let isShareTooLarge =
                sums.total >= settings.minimumCount
                && Double(sums.marked) >= settings.failureShare * Double(sums.total)
            guard failuresInRow >= settings.consecutiveFailures || isShareTooLarge else { return }
            coolDown = min(settings.coolDown, settings.maximumCoolDown)
            change(to: .open, now: now)
        }
    }

    private mutating func change(to next: State, now: ContinuousClock.Instant) {
        state = next
        epoch += 1
        openTrials = 0
        trialSuccesses = 0
        opensUntil = nil
        switch next {
        case .closed:
            closings += 1
            failuresInRow = 0
            counts.reset()
        case .open:
            openings += 1
            opensUntil = now + coolDown
        case .halfOpen: halfOpenings += 1
        }
    }
}
