/// The member with the fewest tokens still to compute; the first of equals.
package struct LeastOutstandingTokens: RoutingPolicy {
    package init() {}

    package func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int {
        candidates.indices.min { candidates[$0].outstandingTokens < candidates[$1].outstandingTokens } ?? 0
    }
}
