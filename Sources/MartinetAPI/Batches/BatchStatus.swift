/// Where a batch is on its way; OpenAI's names.
public enum BatchStatus: String, Sendable, Hashable, CaseIterable {
    /// Its file is being read.
    case validating
    /// Its file cannot be used.
    case failed
    /// Its requests are being answered.
    case inProgress = "in_progress"
    /// All are answered; the output is being written.
    case finalizing
    case completed
    /// Its time was over before all requests were answered; those that were are in the output.
    case expired
    /// It was told to end; what was answered is being written.
    case cancelling
    case cancelled

    /// Whether nothing will change any more.
    public var isOver: Bool {
        switch self {
        case .failed, .completed, .expired, .cancelled: true
        case .validating, .inProgress, .finalizing, .cancelling: false
        }
    }
}
