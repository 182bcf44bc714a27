internal import Synchronization

/// Each member in turn, whatever it has to do.
package final class RoundRobin: RoutingPolicy {
    private let turn = Atomic<UInt64>(0)

    package init() {}

    package func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int {
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return Int(turn % UInt64(max(1, candidates.count)))
    }
}
