/// Bounds what is tried a second time to a share of what is asked, so that retries never multiply an overload.
package struct RetryBudget: Sendable {
    /// How much may be tried again.
    package struct Settings: Sendable, Hashable {
        /// Retries for each request of the last ten seconds, 0…1.
        package var share = 0.2
        /// Retries a second that are allowed without any request, 0 or more.
        package var floor = 1.0

        /// The usual settings.
        package init() {}

        /// Settings with both values.
        package init(share: Double, floor: Double) {
            self.share = share
            self.floor = floor
        }
    }

    private static let window = 10
    private let settings: Settings
    private var counts = SlidingCounts(window: .seconds(window))

    /// A budget that nothing was taken from.
    package init(_ settings: Settings = Settings()) {
        self.settings = settings
    }

    /// Takes note of a request, which lets more be tried again.
    package mutating func recordRequest(now: ContinuousClock.Instant) {
        counts.add(total: 1, now: now)
    }

    /// Takes one retry from the budget, if one is left.
    package mutating func take(now: ContinuousClock.Instant) -> Bool {
        let sums = counts.sums(now: now)
        let allowed = settings.share * Double(sums.total) + settings.floor * Double(Self.window)
        guard Double(sums.marked) + 1 <= allowed else { return false }
        counts.add(marked: 1, now: now)
        return true
    }
}
