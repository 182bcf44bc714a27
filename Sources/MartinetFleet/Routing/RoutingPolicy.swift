/// A member of a pool as a routing policy sees it.
package struct RoutingCandidate: Sendable, Hashable {
    /// Names the member; the same for as long as it is in the pool, also over its restarts.
    package var id: String
    /// Tokens that it still has to compute for requests sent to it: what is left of prompts and of expected output.
    package var outstandingTokens: Int

    /// Describes a member.
    package init(id: String, outstandingTokens: Int) {
        self.id = id
        self.outstandingTokens = outstandingTokens
    }
}

/// What a routing policy may look at of a request.
package struct RoutingKey: Sendable {
    /// The prompt's tokens; empty where they are not known, as for an upstream that does its own tokenising.
    package var tokens: [Int32]
    /// Keeps prefixes of different salts apart.
    package var salt: String?
    /// The value of the session header, where there is one.
    package var session: String?

    /// Describes a request.
    package init(tokens: [Int32] = [], salt: String? = nil, session: String? = nil) {
        self.tokens = tokens
        self.salt = salt
        self.session = session
    }
}

/// Chooses the member of a pool that gets a request.
package protocol RoutingPolicy: Sendable {
    /// Chooses among members that may take the request now.
    ///
    /// - Parameter candidates: at least one.
    /// - Returns: an index into `candidates`.
    func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int

    /// A member lost its memory: it was restarted or left the pool.
    func forget(_ id: String)
}

extension RoutingPolicy {
    package func forget(_ id: String) {}
}
