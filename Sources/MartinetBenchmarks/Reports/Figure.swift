internal import Foundation

/// A figure measured several times.
public struct Figure: Sendable, Hashable {
    private let summary: SampleSummary

    /// Sums up repetitions.
    public init(_ repetitions: [Double]) { summary = SampleSummary(repetitions) }

    /// The middle of the repetitions.
    public var median: Double { summary.median }

    /// Median, least and greatest, as JSON has them.
    public var json: ReportValue {
        .object([
            "median": .double(summary.median), "min": .double(summary.minimum), "max": .double(summary.maximum),
        ])
    }

    /// The three as cells of a table.
    public var cells: [String] { [summary.median, summary.minimum, summary.maximum].map(Self.text) }

    /// A number for people: about three digits, or `-` where there is none.
    public static func text(_ value: Double) -> String {
        guard value.isFinite else { return "-" }
        return String(format: value.magnitude < 10 ? "%.2f" : value.magnitude < 1000 ? "%.1f" : "%.0f", value)
    }
}
