internal import MartinetStorage
internal import MartinetTelemetry
internal import Synchronization

/// Metrics of batches and of what is kept.
struct BatchFigures: Sendable {
    let completed, failed, retries: MetricCounter
    private let open: MetricGauge
    private let openCount = OpenCount()

    /// Batches under way.
    private final class OpenCount: Sendable {
        let count = Mutex(0)
    }

    /// Counts batches that begin or end.
    func changeOpen(by difference: Int) {
        let count = openCount.count.withLock { count in
            count += difference
            return count
        }
        open.set(Double(count))
    }

    /// - Parameter running: gives the requests of batches that run.
    init(registry: MetricsRegistry, storage: Storage, running: @escaping @Sendable () -> Int) {
        func requests(_ outcome: String) -> MetricCounter {
            registry.counter(
                "martinet_batch_requests_total", help: "Requests of batches answered.",
                labels: [(name: "outcome", value: outcome)])
        }
        completed = requests("completed")
        failed = requests("failed")
        retries = registry.counter(
            "martinet_batch_retries_total", help: "Requests of batches put off because the server was busy.")
        open = registry.gauge("martinet_batches_open", help: "Batches under way.")
        let runningGauge = registry.gauge(
            "martinet_batch_requests_running", help: "Requests of batches that run or wait for another try.")
        let bytes = registry.gauge("martinet_storage_file_bytes", help: "Bytes that files take.")
        registry.collect {
            runningGauge.set(Double(running()))
            bytes.set(Double(storage.files.bytes))
        }
    }
}
