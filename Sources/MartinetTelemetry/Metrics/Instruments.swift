internal import Synchronization

/// A figure that only grows.
public final class MetricCounter: MetricInstrument {
    private let head: String
    private let count = Atomic<UInt64>(0)

    init(name: String, labels: MetricLabels) {
        head = name + MetricText.labels(labels)
    }

    /// Adds to the counter.
    public func increment(by amount: UInt64 = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Takes over a count that is kept elsewhere.
    public func set(_ value: UInt64) {
        count.store(value, ordering: .relaxed)
    }

    /// The count so far.
    public var value: UInt64 { count.load(ordering: .relaxed) }

    func write(to text: inout String) { text += "\(head) \(value)\n" }
}

/// A figure that goes up and down.
public final class MetricGauge: MetricInstrument {
    private let head: String
    private let bits = Atomic<UInt64>(0)

    init(name: String, labels: MetricLabels) {
        head = name + MetricText.labels(labels)
    }

    /// Sets the figure.
    public func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// The figure.
    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    func write(to text: inout String) { text += "\(head) \(MetricText.number(value))\n" }
}

/// How observations spread over buckets.
public final class MetricHistogram: MetricInstrument {
    private struct State {
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let bucketHeads: [String]
    private let sumHead: String
    private let countHead: String
    private let state: Mutex<State>

    init(name: String, labels: MetricLabels, bounds: [Double]) {
        self.bounds = bounds
        bucketHeads = (bounds + [.infinity]).map { bound in
            "\(name)_bucket" + MetricText.labels(labels + [(name: "le", value: Self.bound(bound))])
        }
        sumHead = "\(name)_sum" + MetricText.labels(labels)
        countHead = "\(name)_count" + MetricText.labels(labels)
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    /// Bounds are written as Python's client writes them (`1.0`), so that rules made for vLLM match.
    private static func bound(_ bound: Double) -> String {
        bound.isInfinite ? "+Inf" : "\(bound)"
    }

    /// Adds observations of a value.
    public func observe(_ value: Double, count: UInt64 = 1) {
        guard !value.isNaN else { return }
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if value <= bounds[middle] { high = middle } else { low = middle + 1 }
        }
        state.withLock { state in
            state.counts[low] &+= count
            state.sum += value * Double(count)
        }
    }

    /// Observations so far.
    public var count: UInt64 { state.withLock { $0.counts.reduce(0, &+) } }

    func write(to text: inout String) {
        let (counts, sum) = state.withLock { ($0.counts, $0.sum) }
        var total: UInt64 = 0
        for (head, count) in zip(bucketHeads, counts) {
            total &+= count
            text += "\(head) \(total)\n"
        }
        text += "\(sumHead) \(MetricText.number(sum))\n\(countHead) \(total)\n"
    }
}

/// Instruments of one name whose label values appear as the server runs. Their number is bounded: what comes after the
/// bound counts under the overflow labels, so that no client can grow the process.
public final class MetricFamily<Instrument: Sendable>: Sendable {
    private let make: @Sendable ([String]) -> Instrument
    private let limit: Int
    private let instruments = Mutex<[[String]: Instrument]>([:])

    /// A family whose instruments the closure makes from label values.
    public init(limit: Int = 512, _ make: @escaping @Sendable ([String]) -> Instrument) {
        self.limit = limit
        self.make = make
    }

    /// The instrument of these label values.
    public func callAsFunction(_ values: String...) -> Instrument {
        instruments.withLock { instruments in
            if let instrument = instruments[values] { return instrument }
            let key = instruments.count < limit ? values : values.map { _ in "other" }
            if let instrument = instruments[key] { return instrument }
            let instrument = make(key)
            instruments[key] = instrument
            return instrument
        }
    }
}
