/// How a pool treats the sequences it holds.
package struct PoolOptions: Sendable, Hashable {
    /// Where the seeds of requests without one come from.
    package var seed: UInt64 = 0
    /// Tokens that end a generation: the model's own.
    package var endTokens: Set<Int32> = []
    /// Sequences that one member runs at a time; with the limits' `maxWaiting`, the bound of the pool's queue.
    package var maxSequencesPerMember = 256
    /// How long a sequence may wait for a member that takes it.
    package var waitingLimit = Duration.seconds(60)
    /// How long to wait before a sequence is offered again to members that refused it.
    package var retryDelay = Duration.milliseconds(50)
    /// Most losses that a request goes through without a token in between.
    package var maxAttempts = 16
    /// A request open at as many crashes is refused, where it was alone, and else tried alone.
    package var maxCrashes = 2
    /// The same for members that wedged, without a token in between.
    package var maxWedges = 3
    /// How many tokens a suspected request must generate alone before it runs among others again.
    package var quarantineTokens = 16
    /// How long to wait for the cause of a loss when the connection to a supervised member breaks.
    package var causeWait = Duration.seconds(1)

    /// The defaults.
    package init() {}
}
