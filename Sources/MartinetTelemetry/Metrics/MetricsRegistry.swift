internal import Synchronization

/// The label names and values of one time series, in the order that they are written.
public typealias MetricLabels = [(name: String, value: String)]

/// All metrics of a process, and their text for Prometheus (exposition format 0.0.4).
///
/// Instruments are made once and kept by who uses them; writing to one takes no lock of the registry.
public final class MetricsRegistry: Sendable {
    private struct Family {
        var name: String
        var help: String
        var type: String
        var instruments: [any MetricInstrument]
    }

    private struct State {
        var families: [Family] = []
        var positions: [String: Int] = [:]
        var collectors: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// An empty registry.
    public init() {}

    /// Makes a counter. Its name should end in `_total`.
    public func counter(_ name: String, help: String, labels: MetricLabels = []) -> MetricCounter {
        let counter = MetricCounter(name: name, labels: labels)
        add(counter, name: name, help: help, type: "counter")
        return counter
    }

    /// Makes a gauge.
    public func gauge(_ name: String, help: String, labels: MetricLabels = []) -> MetricGauge {
        let gauge = MetricGauge(name: name, labels: labels)
        add(gauge, name: name, help: help, type: "gauge")
        return gauge
    }

    /// Makes a histogram with these upper bounds, ascending; the infinite one is added.
    public func histogram(
        _ name: String, help: String, labels: MetricLabels = [], bounds: [Double]
    ) -> MetricHistogram {
        let histogram = MetricHistogram(name: name, labels: labels, bounds: bounds)
        add(histogram, name: name, help: help, type: "histogram")
        return histogram
    }

    /// Runs before each exposition: for figures that others keep.
    public func collect(_ collector: @escaping @Sendable () -> Void) {
        state.withLock { $0.collectors.append(collector) }
    }

    private func add(_ instrument: any MetricInstrument, name: String, help: String, type: String) {
        state.withLock { state in
            if let position = state.positions[name] {
                state.families[position].instruments.append(instrument)
            } else {
                state.positions[name] = state.families.count
                state.families.append(Family(name: name, help: help, type: type, instruments: [instrument]))
            }
        }
    }

    /// All metrics as text.
    public func exposition() -> String {
        for collector in state.withLock(\.collectors) { collector() }
        // A collector may have met label values for the first time.
        let families = state.withLock(\.families)
        var text = ""
        for family in families {
            text += "# HELP \(family.name) \(Self.escape(help: family.help))\n"
            text += "# TYPE \(family.name) \(family.type)\n"
            for instrument in family.instruments { instrument.write(to: &text) }
        }
        return text
    }

    private static func escape(help: String) -> String {
        var escaped = ""
        for character in help.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}

/// What the registry asks of its instruments.
protocol MetricInstrument: Sendable {
    func write(to text: inout String)
}

/// The parts of sample lines.
enum MetricText {
    /// `{name="value",…}`, empty without labels.
    static func labels(_ labels: MetricLabels) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { "\($0.name)=\"\(escape($0.value))\"" }
        return "{\(pairs.joined(separator: ","))}"
    }

    static func escape(_ value: String) -> String {
        var escaped = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value.rounded() == value, abs(value) < 1e15 { return String(Int(value)) }
        return "\(value)"
    }
}
