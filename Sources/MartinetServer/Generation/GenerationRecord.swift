internal import MartinetTelemetry
internal import MartinetAPI
internal import MartinetEngine

/// Follows one HTTP request's generation and puts its figures into the metrics when it ends.
struct GenerationRecord {
    private let metrics: ServerMetrics
    private let model: ModelMetrics
    /// A copy that nobody waits for counts nowhere.
    private let counts: Bool
    private let requests: [InferenceRequest]
    private let start = ContinuousClock.now
    private var first: ContinuousClock.Instant?
    /// When each sample got its last token, by prompt and index.
    private var last: [Int: ContinuousClock.Instant] = [:]
    private(set) var usage = Usage()

    init(_ requests: [InferenceRequest], metrics: ServerMetrics, model: ModelMetrics, counts: Bool) {
        self.requests = requests
        self.metrics = metrics
        self.model = model
        self.counts = counts
        guard counts else { return }
        metrics.requests.increment(by: UInt64(requests.count))
        for request in requests {
            model.sampleCounts.observe(Double(request.sampleCount))
            if let limit = request.sampling.maxTokens { model.maxTokens.observe(Double(limit)) }
        }
    }

    /// Seconds from start to first token.
    var firstTokenSeconds: Double? { first.map { ($0 - start) / .seconds(1) } }

    mutating func add(_ event: InferenceEvent, prompt: Int, at now: ContinuousClock.Instant) {
        usage.add(event)
        guard counts else { return }
        switch event {
        case .prompt(let facts): model.promptLengths.observe(Double(facts.tokenCount))
        case .output(let delta):
            guard !delta.tokens.isEmpty else { return }
            if first == nil { first = now }
            let sample = prompt << 8 | delta.index
            if let before = last[sample] {
                let gap = (now - before) / .seconds(1) / Double(delta.tokens.count)
                model.interTokenLatency.observe(gap, count: UInt64(delta.tokens.count))
            } else {
                model.timeToFirstToken.observe((now - start) / .seconds(1))
            }
            last[sample] = now
        case .finished: break
        }
    }

    /// Ends the record.
    func finish(_ outcome: ServerMetrics.Outcome) {
        guard counts else { return }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let count = UInt64(requests.count)
        switch outcome {
        case .success: metrics.successes.increment(by: count)
        case .failure: metrics.failures.increment(by: count)
        case .disconnect:
            metrics.failures.increment(by: count)
            metrics.disconnects.increment(by: count)
        }
        metrics.latency.observe(seconds, count: count)
        model.endToEndLatency.observe(seconds, count: count)
        guard case .success = outcome else { return }
        model.outputLengths.observe(Double(usage.completionTokens) / Double(max(1, count)), count: count)
        if let first, usage.completionTokens > 1 {
            let decode = (ContinuousClock.now - first) / .seconds(1)
            model.timePerOutputToken.observe(decode / Double(usage.completionTokens - 1), count: count)
        }
    }
}
