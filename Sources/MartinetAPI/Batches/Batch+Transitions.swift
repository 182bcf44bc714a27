extension Batch {
    /// What happened to a batch.
    public enum Event: Sendable, Hashable {
        /// Its file holds this many requests, all well-formed.
        case accepted(requests: Int)
        /// Its file cannot be used.
        case refused([BatchProblem])
        /// Every request has its answer.
        case answered
        /// Somebody wants it to end.
        case cancelled
        /// Its output is written.
        case written(output: String?, errors: String?)
    }

    /// What is to be done for a batch.
    public enum Step: Sendable, Hashable {
        /// Read its file and check every line.
        case validate
        /// Answer the requests that have no answer.
        case execute
        /// Write the answers into files.
        case write
        /// Nothing any more.
        case none
    }

    /// Takes an event; one that comes too late changes nothing.
    ///
    /// - Parameter now: the time in seconds since 1970.
    /// - Returns: whether it changed anything.
    @discardableResult
    public mutating func apply(_ event: Event, at now: Int) -> Bool {
        switch (event, status) {
        case (.accepted(let requests), .validating):
            counts.total = requests
            enter(.inProgress, now)
        case (.refused(let problems), .validating):
            self.problems = problems
            enter(.failed, now)
        case (.answered, .inProgress):
            enter(.finalizing, now)
        case (.cancelled, .validating), (.cancelled, .inProgress):
            enter(.cancelling, now)
        case (.written(let output, let errors), .finalizing):
            end(.completed, output, errors, now)
        case (.written(let output, let errors), .cancelling):
            end(.cancelled, output, errors, now)
        case (.written(let output, let errors), .validating), (.written(let output, let errors), .inProgress):
            // What is written before all is answered is written because time is over.
            end(.expired, output, errors, now)
        default: return false
        }
        return true
    }

    private mutating func enter(_ status: BatchStatus, _ now: Int) {
        self.status = status
        times[status] = now
    }

    private mutating func end(_ status: BatchStatus, _ output: String?, _ errors: String?, _ now: Int) {
        outputFile = output
        errorFile = errors
        enter(status, now)
    }

    /// What is to be done now.
    ///
    /// - Parameter now: the time in seconds since 1970.
    public func next(at now: Int) -> Step {
        switch status {
        case .validating: now >= expires ? .write : .validate
        case .inProgress: now >= expires ? .write : .execute
        case .finalizing, .cancelling: .write
        case .failed, .completed, .expired, .cancelled: .none
        }
    }

    /// Whether its lines were checked: then each of them gets a line of output, answered or not.
    public var isAccepted: Bool { times[.inProgress] != nil }

    /// Why a request that has no answer gets none.
    public var omission: (code: String, message: String) {
        status == .cancelling
            ? ("batch_cancelled", "The batch was cancelled before this request was answered.")
            : ("batch_expired", "The completion window ended before this request was answered.")
    }
}
