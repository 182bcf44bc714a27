internal import MartinetTelemetry

/// Metrics of the workers, read at each scrape.
struct FleetFigures {
    let registry: MetricsRegistry
    let fleet: any FleetControl

    private static let states = ["starting", "ready", "restarting", "failed", "stopped"]

    func register() {
        let registry = registry
        let workers = MetricFamily { values in
            registry.gauge(
                "martinet_workers", help: "Workers by their state.",
                labels: [(name: "model_name", value: values[0]), (name: "state", value: values[1])])
        }
        let restarts = MetricFamily { values in
            registry.counter(
                "martinet_worker_restarts_total", help: "Times that a worker was started again.",
                labels: [(name: "model_name", value: values[0])])
        }
        let outstanding = MetricFamily { values in
            registry.gauge(
                "martinet_worker_outstanding_tokens", help: "Tokens sent to a worker and still to compute.",
                labels: [(name: "model_name", value: values[0]), (name: "worker", value: values[1])])
        }
        let waiting = MetricFamily { values in
            registry.gauge(
                "martinet_sequences_without_worker", help: "Sequences that wait for a worker.",
                labels: [(name: "model_name", value: values[0])])
        }
        let losses = MetricFamily { values in
            registry.counter(
                "martinet_worker_losses_total", help: "Workers lost, by cause.",
                labels: [(name: "model_name", value: values[0]), (name: "cause", value: values[1])])
        }
        let resumptions = MetricFamily { values in
            registry.counter(
                "martinet_stream_resumptions_total",
                help: "Sequences whose worker was lost or left, by what became of them.",
                labels: [(name: "model_name", value: values[0]), (name: "outcome", value: values[1])])
        }
        let refused = MetricFamily { values in
            registry.counter(
                "martinet_requests_refused_as_crashing_total", help: "Requests refused because they crash workers.",
                labels: [(name: "model_name", value: values[0])])
        }
        registry.collect { [fleet] in
            for model in fleet.models() {
                for state in Self.states {
                    workers(model.model, state).set(Double(model.workers.count { $0.state == state }))
                }
                for worker in model.workers {
                    outstanding(model.model, worker.id).set(Double(worker.outstandingTokens))
                }
                restarts(model.model).set(model.workers.reduce(0) { $0 &+ UInt64(clamping: $1.restarts) })
                waiting(model.model).set(Double(model.waiting))
                for (cause, count) in model.losses { losses(model.model, cause).set(count) }
                for (outcome, count) in model.resumptions { resumptions(model.model, outcome).set(count) }
                refused(model.model).set(model.refusedRequests)
            }
        }
    }
}
