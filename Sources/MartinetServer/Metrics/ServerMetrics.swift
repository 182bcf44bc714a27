internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry
internal import ServiceLifecycle
internal import Synchronization

/// Every metric of the server. Names and bounds follow vLLM's, so that dashboards made for it work.
final class ServerMetrics: Sendable {
    /// How a generation ended.
    enum Outcome: String { case success, failure, disconnect }

    let registry = MetricsRegistry()
    let requests, successes, failures, disconnects: MetricCounter
    let latency: MetricHistogram
    let httpRequests: MetricFamily<MetricCounter>
    let httpDurations: MetricFamily<MetricHistogram>
    private let tokensPerSecond, utilization: MetricGauge
    private let directory: ModelDirectory
    private let workers: @Sendable () -> [Int]
    private let models = Mutex<[String: ModelMetrics]>([:])

    /// Our own: fine where a small model answers.
    static let fineBounds = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
    ]

    /// - Parameter workers: the processes of the workers.
    init(
        directory: ModelDirectory, state: ServerState, version: String, workers: @escaping @Sendable () -> [Int]
    ) {
        self.directory = directory
        self.workers = workers
        let registry = registry
        requests = registry.counter("vllm_requests_total", help: "Prompts taken to generate.")
        successes = registry.counter("vllm_requests_success_total", help: "Prompts answered in full.")
        failures = registry.counter(
            "vllm_requests_failed_total", help: "Prompts that the server could not answer, or whose client left.")
        latency = registry.histogram(
            "vllm_request_latency_seconds", help: "Time from request to end of answer.", bounds: Self.fineBounds)
        tokensPerSecond = registry.gauge(
            "vllm_tokens_per_second", help: "Tokens generated per second, over the last seconds.")
        utilization = registry.gauge(
            "vllm_gpu_utilization", help: "Share of the compute device in use, 0 to 1; on a CPU its processors.")
        disconnects = registry.counter(
            "martinet_client_disconnects_total", help: "Prompts whose client left before the end.")

        httpRequests = MetricFamily { values in
            registry.counter(
                "http_requests_total", help: "HTTP requests answered.",
                labels: [
                    (name: "method", value: values[0]), (name: "status", value: values[1]),
                    (name: "handler", value: values[2]),
                ])
        }
        httpDurations = MetricFamily { values in
            registry.histogram(
                "http_request_duration_seconds", help: "Time to an HTTP answer; of streams, to their first byte.",
                labels: [(name: "method", value: values[0]), (name: "handler", value: values[1])],
                bounds: Self.fineBounds)
        }
        registry.gauge(
            "martinet_build_info", help: "The version that runs.", labels: [(name: "version", value: version)]
        ).set(1)
        registry.gauge("process_start_time_seconds", help: "When the process started, in seconds since 1970.").set(
            ProcessFigures.now)
        TotalFigures(registry: registry, directory: directory, state: state, workers: workers).register()
        UpstreamFigures(registry: registry, directory: directory).register()
        for deployment in directory.all { _ = model(deployment) }
    }

    /// The metrics of a model; made when it is first asked for.
    func model(_ deployment: Deployment) -> ModelMetrics {
        models.withLock { models in
            if let metrics = models[deployment.model.name] { return metrics }
            let metrics = ModelMetrics(deployment.model, registry: registry, directory: directory)
            models[deployment.model.name] = metrics
            return metrics
        }
    }

    private var processorSeconds: Double {
        workers().reduce(ProcessFigures.processorSeconds) { $0 + ProcessFigures.processorSeconds(of: $1) }
    }

    /// Observes rates once a second.
    func sample() async {
        var window: [(time: ContinuousClock.Instant, tokens: UInt64)] = []
        var processor = processorSeconds
        var before = ContinuousClock.now
        while !Task.isCancelled {
            let now = ContinuousClock.now
            window.append(
                (time: now, tokens: directory.all.reduce(0) { $0 &+ $1.service.statistics().generatedTokens }))
            if window.count > 6 { window.removeFirst() }
            if let first = window.first, let last = window.last, first.time < last.time {
                let seconds = (last.time - first.time) / .seconds(1)
                tokensPerSecond.set(Double(last.tokens &- first.tokens) / seconds)
            }
            // A worker that ended takes its time with it.
            let used = processorSeconds
            let elapsed = (now - before) / .seconds(1)
            if elapsed > 0.01 {
                let share = (used - processor) / elapsed / Double(ProcessFigures.processorCount)
                utilization.set(min(1, max(0, share)))
            }
            (processor, before) = (used, now)
            guard (try? await Task.sleep(for: .seconds(1))) != nil else { return }
        }
    }
}

/// Keeps the rates up to date while the server runs.
struct MetricsSampler: Service {
    let metrics: ServerMetrics

    func run() async throws {
        await cancelWhenGracefulShutdown { await metrics.sample() }
    }
}
