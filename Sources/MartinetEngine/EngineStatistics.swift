/// Figures of an engine at one moment; counters only grow.
public struct EngineStatistics: Sendable, Hashable {
    /// Sequences in the running batch.
    public var running = 0
    /// Sequences that wait.
    public var waiting = 0
    /// KV blocks in the pool.
    public var totalBlocks = 0
    /// Blocks that sequences hold; cached blocks nobody holds count as free.
    public var usedBlocks = 0
    /// Blocks that nobody holds but that keep reusable prefixes.
    public var cachedBlocks = 0
    /// Steps executed.
    public var steps: UInt64 = 0
    /// Prompt tokens of started requests.
    public var promptTokens: UInt64 = 0
    /// Prompt tokens that came from the prefix cache.
    public var cachedPromptTokens: UInt64 = 0
    /// Tokens generated.
    public var generatedTokens: UInt64 = 0
    /// Times that a sequence guessed tokens ahead.
    public var drafts: UInt64 = 0
    /// Tokens guessed.
    public var draftTokens: UInt64 = 0
    /// Those of the guessed tokens that were generated.
    public var acceptedDraftTokens: UInt64 = 0
    /// Sequences put back to wait for want of blocks.
    public var preemptions: UInt64 = 0
    /// Sequences ended, by reason.
    public var finished: [FinishReason: UInt64] = [:]
    /// Sequences in the last step's batch.
    public var lastBatchSequences = 0
    /// Tokens in the last step's batch.
    public var lastBatchTokens = 0
    /// Seconds since the last step ended, where work is waiting or running: grows while the engine is wedged.
    public var secondsSinceProgress: Double = 0
    /// Why the engine stopped, where it failed.
    public var failure: String?

    /// All zero.
    public init() {}
}
