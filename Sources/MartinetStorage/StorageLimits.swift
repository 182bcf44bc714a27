/// How much is kept, and for how long.
public struct StorageLimits: Sendable, Hashable {
    /// Most bytes of one file.
    public var maxFileBytes = 512 << 20
    /// Most bytes of all files together; the database may have as many again.
    public var maxTotalBytes = 10 << 30
    /// Seconds that files, batches that are over and responses are kept; `nil` for ever.
    public var retention: Int? = 30 * 24 * 3600
    /// Most responses.
    public var maxResponses = 100_000
    /// Most bytes of all responses together: a quarter of what the database may have.
    public var maxResponseBytes: Int { maxTotalBytes / 4 }

    /// Everything at its default.
    public init() {}
}
