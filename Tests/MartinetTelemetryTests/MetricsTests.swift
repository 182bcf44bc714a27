import MartinetTelemetry
import Testing

@Suite struct MetricsTests {
    @Test func exposition() {
        let registry = MetricsRegistry()
        let requests = registry.counter(
            "requests_total", help: "All\nrequests \\ here.", labels: [(name: "a", value: "x\"\\\n")])
        let other = registry.counter("requests_total", help: "ignored", labels: [(name: "a", value: "y")])
        let load = registry.gauge("load", help: "Load.")
        let times = registry.histogram(
            "seconds", help: "Times.", labels: [(name: "m", value: "v")], bounds: [0.5, 1, 10])
        requests.increment()
        requests.increment(by: 4)
        other.set(9)
        load.set(-0.25)
        for value in [0.5, 0.6, 1, 5, 100, .nan] { times.observe(value) }
        times.observe(2, count: 3)
        #expect(
            registry.exposition() == """
                # HELP requests_total All\\nrequests \\\\ here.
                # TYPE requests_total counter
                requests_total{a="x\\"\\\\\\n"} 5
                requests_total{a="y"} 9
                # HELP load Load.
                # TYPE load gauge
                load -0.25
                # HELP seconds Times.
                # TYPE seconds histogram
                seconds_bucket{m="v",le="0.5"} 1
                seconds_bucket{m="v",le="1.0"} 3
                seconds_bucket{m="v",le="10.0"} 7
                seconds_bucket{m="v",le="+Inf"} 8
                seconds_sum{m="v"} 113.1
                seconds_count{m="v"} 8

                """)
    }

    @Test func collectorsRunAtEachExposition() {
        let registry = MetricsRegistry()
        let gauge = registry.gauge("scrapes", help: "Scrapes.")
        registry.collect { gauge.set(gauge.value + 1) }
        _ = registry.exposition()
        #expect(registry.exposition().contains("\nscrapes 2\n"))
    }

    @Test func familiesAreBounded() {
        let registry = MetricsRegistry()
        let family = MetricFamily(limit: 10) { values in
            registry.counter("hits_total", help: "Hits.", labels: [(name: "path", value: values[0])])
        }
        for index in 0..<100 { family("/\(index)").increment() }
        let lines = registry.exposition().split(separator: "\n").filter { $0.hasPrefix("hits_total") }
        #expect(lines.count == 11)
        #expect(lines.contains("hits_total{path=\"other\"} 90"))
    }

    @Test func countsFromManyThreads() async {
        let registry = MetricsRegistry()
        let counter = registry.counter("c_total", help: "C.")
        let histogram = registry.histogram("h", help: "H.", bounds: [1])
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter.increment()
                        histogram.observe(0.5)
                    }
                }
            }
        }
        #expect(counter.value == 8000)
        #expect(histogram.count == 8000)
    }

    @Test func processFigures() {
        #expect(ProcessFigures.residentBytes > 1 << 20)
        #expect(ProcessFigures.processorSeconds > 0)
        #expect(ProcessFigures.now > 1_700_000_000)
    }
}
