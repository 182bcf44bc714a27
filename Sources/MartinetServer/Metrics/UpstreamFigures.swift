internal import MartinetFleet
internal import MartinetTelemetry
internal import MartinetUpstreams

/// Metrics of pools of other servers, read at each scrape.
struct UpstreamFigures {
    let registry: MetricsRegistry
    let directory: ModelDirectory

    func register() {
        let registry = registry
        @Sendable func labels(_ values: [String], _ last: String?) -> MetricLabels {
            let names = ["pool", "member"] + (last.map { [$0] } ?? [])
            return zip(names, values).map { (name: $0, value: $1) }
        }
        func counters(_ name: String, _ help: String, _ last: String? = nil) -> MetricFamily<MetricCounter> {
            MetricFamily { values in registry.counter(name, help: help, labels: labels(values, last)) }
        }
        func gauges(_ name: String, _ help: String, _ last: String? = nil) -> MetricFamily<MetricGauge> {
            MetricFamily { values in registry.gauge(name, help: help, labels: labels(values, last)) }
        }
        let requests = counters(
            "martinet_upstream_requests_total", "Requests sent to a member, retries and hedges included.")
        let failures = counters("martinet_upstream_failures_total", "Failures of a member, by code.", "code")
        let retries = counters(
            "martinet_upstream_retries_total", "Requests that a member got after another attempt had failed.")
        let hedges = counters(
            "martinet_upstream_hedges_total", "Requests that a member got because another was slow.")
        let continuations = counters(
            "martinet_upstream_continuations_total", "Streams that broke elsewhere and went on at a member.")
        let prompt = counters("martinet_upstream_prompt_tokens_total", "Tokens of prompts, as a member counted.")
        let output = counters("martinet_upstream_generation_tokens_total", "Tokens that a member generated.")
        let openings = counters(
            "martinet_upstream_breaker_transitions_total", "Changes of a member's circuit breaker.", "to")
        let outstanding = gauges("martinet_upstream_outstanding_requests", "Requests that a member has now.")
        let tokens = gauges("martinet_upstream_outstanding_tokens", "Tokens that a member still has to compute.")
        let breaker = gauges(
            "martinet_upstream_breaker_state", "1 for the state of a member's circuit breaker.", "state")
        let probe = gauges("martinet_upstream_probe_success", "Whether the last probe of a member was answered.")
        let waiting = MetricFamily { values in
            registry.gauge(
                "martinet_upstream_waiting_requests", help: "Requests that wait for a place at a member.",
                labels: [(name: "pool", value: values[0])])
        }
        registry.collect { [directory] in
            for pool in directory.upstreams.map({ $0.pool.snapshot() }) {
                waiting(pool.name).set(Double(pool.waiting))
                for member in pool.members {
                    func count(_ family: MetricFamily<MetricCounter>, _ value: Int) {
                        family(pool.name, member.id).set(UInt64(clamping: value))
                    }
                    count(requests, member.requests)
                    count(retries, member.retries)
                    count(hedges, member.hedges)
                    count(continuations, member.continuations)
                    count(prompt, member.promptTokens)
                    count(output, member.completionTokens)
                    for (code, value) in member.failures {
                        failures(pool.name, member.id, code).set(UInt64(clamping: value))
                    }
                    for (state, value) in [
                        ("open", member.openings), ("half_open", member.halfOpenings), ("closed", member.closings),
                    ] {
                        openings(pool.name, member.id, state).set(UInt64(clamping: value))
                    }
                    for state in [CircuitBreaker.State.closed, .open, .halfOpen] {
                        breaker(pool.name, member.id, state.rawValue).set(member.breaker == state ? 1 : 0)
                    }
                    outstanding(pool.name, member.id).set(Double(member.outstandingRequests))
                    tokens(pool.name, member.id).set(Double(member.outstandingTokens))
                    if let last = member.lastProbe { probe(pool.name, member.id).set(last.problem == nil ? 1 : 0) }
                }
            }
        }
    }
}
