/// The names of the routing policies in configuration.
package enum RoutingPolicyName: String, Sendable, Hashable, CaseIterable, Codable {
    /// ``PrefixAffinity``.
    case prefixAffinity = "prefix-affinity"
    /// ``LeastOutstandingTokens``.
    case leastTokens = "least-tokens"
    /// ``PowerOfTwoChoices``.
    case powerOfTwo = "power-of-two"
    /// ``RoundRobin``.
    case roundRobin = "round-robin"
    /// ``ConsistentHash``.
    case consistentHash = "consistent-hash"

    /// Makes a policy for one pool; policies keep state, so each pool needs its own.
    ///
    /// - Parameter seed: where random choices come from.
    package func makePolicy(seed: UInt64 = 0) -> any RoutingPolicy {
        switch self {
        case .prefixAffinity: PrefixAffinity()
        case .leastTokens: LeastOutstandingTokens()
        case .powerOfTwo: PowerOfTwoChoices(seed: seed)
        case .roundRobin: RoundRobin()
        case .consistentHash: ConsistentHash()
        }
    }
}
