/// When a request that waits for its first token is also sent to a second member, whose answer counts if it is faster.
///
/// Off unless asked for: it costs work twice. Only requests that a person waits for are hedged, and only a small share
/// of them.
package struct HedgingPolicy: Sendable, Hashable {
    /// Whether requests are hedged at all.
    package var isEnabled = false
    /// How long the first member has before a second one is asked.
    package var delay = Duration.milliseconds(500)
    /// Hedges for each request of the last ten seconds, 0…1.
    package var share = 0.05

    /// No hedging.
    package init() {}

    /// How long a request waits before it is hedged; `nil` where it is not.
    ///
    /// - Parameter members: how many members the pool has.
    package func delay(isInteractive: Bool, members: Int) -> Duration? {
        isEnabled && isInteractive && members > 1 ? delay : nil
    }

    /// What hedges are counted against: no more than the share, and one in ten seconds where there are few requests.
    package var budget: RetryBudget { RetryBudget(RetryBudget.Settings(share: share, floor: 0.1)) }
}
