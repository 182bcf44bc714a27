/// The same member for the same session, as long as it is there and not overloaded.
///
/// Rendezvous hashing: each session ranks all members, and gets the first that has room. A member that comes or goes moves
/// only the sessions that rank it first. Without a session, the member with the least to do.
package struct ConsistentHash: RoutingPolicy {
    private let loadGuard = LoadGuard()

    package init() {}

    package func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int {
        guard let session = key.session else { return LeastOutstandingTokens().choose(among: candidates, for: key) }
        var best: (index: Int, rank: UInt64)?
        for (index, candidate) in candidates.enumerated() where loadGuard.allows(index, among: candidates) {
            var hash = StableHash()
            hash.add(session)
            hash.add(candidate.id)
            if best.map({ hash.value > $0.rank }) ?? true { best = (index, hash.value) }
        }
        return best?.index ?? 0
    }
}
