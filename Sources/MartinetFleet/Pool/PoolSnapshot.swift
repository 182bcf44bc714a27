/// A pool's figures at one moment; counters only grow.
package struct PoolSnapshot: Sendable, Hashable {
    /// A member.
    package struct Member: Sendable, Hashable {
        /// Names it.
        package var id: String
        /// Whether it gets new sequences.
        package var isAvailable: Bool
        /// Sequences sent to it that have not ended.
        package var outstandingSequences: Int
        /// Tokens of those still to compute: what is left of prompts and of expected output.
        package var outstandingTokens: Int
    }

    /// What became of a sequence that its member did not end.
    package enum Resumption: String, Sendable, Hashable, CaseIterable {
        /// A member took it on.
        case resumed
        /// All of its tokens had come; only its end was missing.
        case completed
        /// Its request ended with an error.
        case failed
    }

    /// The members, in the order in which they came.
    package var members: [Member] = []
    /// Sequences that wait for a member.
    package var waiting = 0
    /// Sequences of all requests that have not ended.
    package var open = 0
    /// Sequences whose member was lost, was removed or gave them back.
    package var resumptions: [Resumption: UInt64] = [:]
    /// Members lost, by cause.
    package var losses: [WorkerLoss: UInt64] = [:]
    /// Requests refused because they crash workers.
    package var refusedRequests: UInt64 = 0
    /// Whether suspected requests are being tried alone.
    package var hasQuarantine = false
}
