package import MartinetFleet

/// A pool of upstreams and how it copes with their failures.
package struct UpstreamPoolConfiguration: Sendable, Hashable {
    /// The pool's name in logs and messages.
    package var name: String
    /// The members, or where they are found.
    package var upstreams: [UpstreamConfiguration]
    /// When a member gets no requests for a while.
    package var breaker = CircuitBreaker.Settings()
    /// Members that one request may be sent to before its first token, the first included.
    package var maxAttempts = 3
    /// How much may be sent again.
    package var retryBudget = RetryBudget.Settings()
    /// The pauses before sending again.
    package var backoff = Backoff()
    /// The longest `Retry-After` that is waited for when there is no other member.
    package var maxRetryAfter = Duration.seconds(5)
    /// How often one stream may continue after a break.
    package var maxContinuations = 3
    /// Requests that may wait for a member when all are busy.
    package var maxQueued = 1024
    /// How long they wait.
    package var queueTimeout = Duration.seconds(10)
    /// Second requests to be faster.
    package var hedging = HedgingPolicy()
    /// Most bytes of an answer that is no stream.
    package var maxAnswerBytes = 32 << 20
    /// Most bytes of one event of a stream.
    package var maxEventBytes = 1 << 20
    /// Most bytes of an answer's head.
    package var maxHeadBytes = 64 << 10
    /// Where the random numbers of the pauses come from; from the system where not given.
    package var seed: UInt64?

    /// A pool with the usual settings.
    package init(name: String, upstreams: [UpstreamConfiguration]) {
        self.name = name
        self.upstreams = upstreams
    }

    /// Finds what cannot be used, in the upstreams too.
    ///
    /// - Throws: ``UpstreamConfigurationError`` that names the field.
    package func validate() throws {
        typealias Problem = UpstreamConfigurationError
        let day = Duration.seconds(86_400)
        try Problem.check(!upstreams.isEmpty, "upstreams", "must have at least one")
        for (index, upstream) in upstreams.enumerated() {
            do {
                try upstream.validate()
            } catch let error as UpstreamConfigurationError {
                throw Problem(field: "upstreams[\(index)].\(error.field)", problem: error.problem)
            }
        }
        try Problem.check((1...10_000).contains(breaker.consecutiveFailures), "breaker.failures", "must be 1 to 10000")
        try Problem.check(
            breaker.failureShare > 0 && breaker.failureShare <= 1, "breaker.failure_share",
            "must be above 0 and at most 1, but is \(breaker.failureShare)")
        try Problem.check(breaker.window, "breaker.window", from: .milliseconds(100), to: day)
        try Problem.check((1...1_000_000).contains(breaker.minimumCount), "breaker.minimum_count", "must be 1 or more")
        try Problem.check(breaker.coolDown, "breaker.cool_down", to: day)
        try Problem.check(breaker.maximumCoolDown, "breaker.maximum_cool_down", from: breaker.coolDown, to: day)
        try Problem.check((1...10_000).contains(breaker.trials), "breaker.trials", "must be 1 to 10000")
        try Problem.check((1...10_000).contains(breaker.successes), "breaker.successes", "must be 1 to 10000")
        try Problem.check((1...100).contains(maxAttempts), "max_attempts", "must be 1 to 100, but is \(maxAttempts)")
        try Problem.check((0...1).contains(retryBudget.share), "retry_share", "must be 0 to 1")
        try Problem.check((0...1e6).contains(retryBudget.floor), "retries_per_second", "must be 0 or more")
        try Problem.check(backoff.base, "backoff", from: .zero, to: day)
        try Problem.check(backoff.maximum, "maximum_backoff", from: backoff.base, to: day)
        try Problem.check(maxRetryAfter, "max_retry_after", from: .zero, to: day)
        try Problem.check((0...100).contains(maxContinuations), "max_continuations", "must be 0 to 100")
        try Problem.check((0...1_000_000).contains(maxQueued), "max_queued", "must be 0 or more")
        try Problem.check(queueTimeout, "queue_timeout", to: day)
        try Problem.check(hedging.delay, "hedging.delay", to: day)
        try Problem.check((0...1).contains(hedging.share), "hedging.share", "must be 0 to 1")
        try Problem.check((1024...(1 << 30)).contains(maxAnswerBytes), "max_answer_bytes", "must be 1 KiB to 1 GiB")
        try Problem.check((1024...(1 << 30)).contains(maxEventBytes), "max_event_bytes", "must be 1 KiB to 1 GiB")
        try Problem.check((1024...(1 << 20)).contains(maxHeadBytes), "max_head_bytes", "must be 1 KiB to 1 MiB")
    }
}

extension UpstreamPoolConfiguration: Decodable {
    /// Reads the configuration's object; unknown members are refused. Times are in seconds.
    package init(from decoder: any Decoder) throws {
        self.init(name: "upstreams", upstreams: [])
        var fields = try StrictFields(decoder)
        try fields.read("name", into: &name)
        try fields.read("upstreams", into: &upstreams)
        var settings = BreakerFields()
        try fields.read("breaker", into: &settings)
        breaker = settings.settings
        try fields.read("max_attempts", into: &maxAttempts)
        try fields.read("retry_share", into: &retryBudget.share)
        try fields.read("retries_per_second", into: &retryBudget.floor)
        try fields.readSeconds("backoff", into: &backoff.base)
        try fields.readSeconds("maximum_backoff", into: &backoff.maximum)
        try fields.readSeconds("max_retry_after", into: &maxRetryAfter)
        try fields.read("max_continuations", into: &maxContinuations)
        try fields.read("max_queued", into: &maxQueued)
        try fields.readSeconds("queue_timeout", into: &queueTimeout)
        var hedges = HedgingFields()
        try fields.read("hedging", into: &hedges)
        hedging = hedges.policy
        try fields.read("max_answer_bytes", into: &maxAnswerBytes)
        try fields.read("max_event_bytes", into: &maxEventBytes)
        try fields.read("max_head_bytes", into: &maxHeadBytes)
        try fields.finish()
    }
}

/// The object `breaker`.
private struct BreakerFields: Decodable {
    var settings = CircuitBreaker.Settings()

    init() {}

    init(from decoder: any Decoder) throws {
        var fields = try StrictFields(decoder)
        try fields.read("failures", into: &settings.consecutiveFailures)
        try fields.read("failure_share", into: &settings.failureShare)
        try fields.readSeconds("window", into: &settings.window)
        try fields.read("minimum_count", into: &settings.minimumCount)
        try fields.readSeconds("cool_down", into: &settings.coolDown)
        try fields.readSeconds("maximum_cool_down", into: &settings.maximumCoolDown)
        try fields.read("trials", into: &settings.trials)
        try fields.read("successes", into: &settings.successes)
        try fields.finish()
    }
}

/// The object `hedging`.
private struct HedgingFields: Decodable {
    var policy = HedgingPolicy()

    init() {}

    init(from decoder: any Decoder) throws {
        var fields = try StrictFields(decoder)
        try fields.read("enabled", into: &policy.isEnabled)
        try fields.readSeconds("delay", into: &policy.delay)
        try fields.read("share", into: &policy.share)
        try fields.finish()
    }
}
