internal import MartinetEngine
internal import Synchronization

/// The less loaded of two members drawn at random: nearly as even as the least loaded of all, and without every
/// frontend rushing at the same one when their figures are a little old (Mitzenmacher, 2001).
package final class PowerOfTwoChoices: RoutingPolicy {
    private let random: CounterRandom
    private let turn = Atomic<UInt64>(0)

    /// Makes the policy; equal seeds draw equal pairs.
    package init(seed: UInt64) { random = CounterRandom(seed: seed) }

    package func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int {
        let count = UInt64(candidates.count)
        guard count > 1 else { return 0 }
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        let first = Int(random.integer(turn, 0) % count)
        // One of the others.
        let second = (first + 1 + Int(random.integer(turn, 1) % (count - 1))) % candidates.count
        return candidates[second].outstandingTokens < candidates[first].outstandingTokens ? second : first
    }
}
