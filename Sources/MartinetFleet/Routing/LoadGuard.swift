/// How far a member's load may stand above the others' before a preference for it no longer counts.
struct LoadGuard {
    /// Times the mean.
    var factor = 1.25
    /// Tokens above that which never matter: small loads differ by chance.
    var slack = 256

    /// Whether a member of `candidates` may get more.
    func allows(_ index: Int, among candidates: [RoutingCandidate]) -> Bool {
        let mean = candidates.reduce(0.0) { $0 + Double($1.outstandingTokens) } / Double(max(1, candidates.count))
        return Double(candidates[index].outstandingTokens) <= factor * mean + Double(slack)
    }
}
