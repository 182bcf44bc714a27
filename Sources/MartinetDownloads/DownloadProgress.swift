/// How far a download is.
public struct DownloadProgress: Sendable, Hashable {
    /// What is being done.
    public enum Phase: Sendable, Hashable {
        /// Bytes arrive.
        case downloading
        /// The finished file is compared with its checksum, or taken out of its archive.
        case verifying
        /// The connection broke; the next attempt follows.
        case retrying(reason: String)
        /// A source failed and the next one is tried.
        case nextSource(reason: String)
    }
    /// The file.
    public var file: String
    /// What is being done.
    public var phase: Phase
    /// Bytes on disk, those of earlier attempts among them.
    public var received: Int
    /// Bytes of the whole file, where known.
    public var total: Int?

    /// Describes a state.
    public init(file: String, phase: Phase, received: Int = 0, total: Int? = nil) {
        self.file = file
        self.phase = phase
        self.received = received
        self.total = total
    }
}
