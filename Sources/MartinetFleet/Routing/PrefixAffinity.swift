internal import Synchronization

/// The member that has computed most of the prompt before, unless it has too much to do.
///
/// It remembers what it sent where; it does not ask the members. Of members that know equally much of the prompt, the
/// least loaded gets it; where none of those has room, the least loaded of all.
package final class PrefixAffinity: RoutingPolicy {
    private let trees = Mutex<[String: PrefixTree]>([:])
    private let capacity: Int
    private let loadGuard: LoadGuard

    /// Makes the policy.
    ///
    /// - Parameter tokensPerMember: tokens of prompts that it remembers of each member: about the size of its KV cache.
    ///   A block of 16 takes some 50 bytes.
    package init(tokensPerMember: Int = 1 << 20) {
        capacity = max(1, tokensPerMember / PrefixTree.blockSize)
        loadGuard = LoadGuard()
    }

    package func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int {
        let prefixes = PrefixTree.prefixes(of: key.tokens, salt: key.salt)
        return trees.withLock { trees in
            func matches(_ index: Int) -> Int { trees[candidates[index].id]?.matches(prefixes) ?? 0 }
            let known = candidates.indices.map(matches)
            let allowed = candidates.indices.filter { loadGuard.allows($0, among: candidates) }
            let longest = allowed.map { known[$0] }.max() ?? 0
            // What nobody knows goes to the least loaded of all.
            let preferred = longest == 0 ? Array(candidates.indices) : allowed.filter { known[$0] == longest }
            let chosen = preferred.min { candidates[$0].outstandingTokens < candidates[$1].outstandingTokens } ?? 0
            trees[candidates[chosen].id, default: PrefixTree(capacity: capacity)].insert(prefixes)
            return chosen
        }
    }

    package func forget(_ id: String) { trees.withLock { $0[id] = nil } }
}
