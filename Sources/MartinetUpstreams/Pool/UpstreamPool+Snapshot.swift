internal import Synchronization
package import MartinetFleet

/// A member of a pool of upstreams at one moment, for metrics and the admin API.
package struct MemberSnapshot: Sendable {
    /// What the last probe found.
    package struct Probe: Sendable {
        /// When it ended.
        package var ended: ContinuousClock.Instant
        /// Why it failed; `nil` where the member answered.
        package var problem: String?
    }

    /// The member's name.
    package var id: String
    /// Where it is.
    package var url: String
    /// What the breaker does with requests.
    package var breaker: CircuitBreaker.State
    /// How often the breaker opened.
    package var openings: Int
    /// How often it became half open.
    package var halfOpenings: Int
    /// How often it closed again.
    package var closings: Int
    /// Requests sent to it, retries and hedges included.
    package var requests: Int
    /// Failures by code.
    package var failures: [String: Int]
    /// Requests that another attempt had failed for.
    package var retries: Int
    /// Requests that another member was too slow for.
    package var hedges: Int
    /// Streams that broke elsewhere and went on here.
    package var continuations: Int
    /// Requests that it has now.
    package var outstandingRequests: Int
    /// Tokens that it still has to compute for them.
    package var outstandingTokens: Int
    /// Tokens of prompts, as it counted.
    package var promptTokens: Int
    /// Tokens generated.
    package var completionTokens: Int
    /// When it will get requests again after it asked for fewer.
    package var pausedUntil: ContinuousClock.Instant?
    /// What the last probe found.
    package var lastProbe: Probe?
    /// What is wrong with its API key's file.
    package var credentialProblem: String?
}

/// A pool of upstreams at one moment.
package struct UpstreamPoolSnapshot: Sendable {
    /// The pool's name.
    package var name: String
    /// The members.
    package var members: [MemberSnapshot]
    /// Requests that wait for a place.
    package var waiting: Int
    /// Why members could not be found, by the name or file where they were looked for; the last ones stay.
    package var discoveryProblems: [String: String]
}

extension UpstreamPool {
    /// The pool's figures now.
    package func snapshot() -> UpstreamPoolSnapshot {
        let (members, problems) = state.withLock { ($0.members, $0.discoveryProblems) }
        return UpstreamPoolSnapshot(
            name: configuration.name, members: members.map { $0.snapshot() }, waiting: queue.count,
            discoveryProblems: problems)
    }
}

extension Member {
    func snapshot() -> MemberSnapshot {
        let credentialProblem = client.credential.problem
        return state.withLock { state in
            MemberSnapshot(
                id: id, url: address.base, breaker: state.breaker.state, openings: state.breaker.openings,
                halfOpenings: state.breaker.halfOpenings, closings: state.breaker.closings, requests: state.requests,
                failures: state.failures, retries: state.retries, hedges: state.hedges,
                continuations: state.continuations, outstandingRequests: state.outstandingRequests,
                outstandingTokens: state.outstandingTokens, promptTokens: state.promptTokens,
                completionTokens: state.completionTokens, pausedUntil: state.pausedUntil, lastProbe: state.lastProbe,
                credentialProblem: credentialProblem)
        }
    }
}
