package import MartinetEngine

/// Why a member of a pool was lost.
package enum WorkerLoss: String, Sendable, Hashable, CaseIterable {
    /// It trapped, aborted, hit an illegal instruction or bad memory, or exited with a failure: what a request can cause.
    case crashed
    /// The kernel killed it for want of memory: what a request can cause.
    case outOfMemory = "out_of_memory"
    /// It lived, but made no step.
    case wedged
    /// A signal from outside killed it.
    case killed
    /// A signal from outside stopped it, and it did not go on.
    case stopped
    /// It exited with success.
    case ended
    /// The connection to it broke, and nothing else is known.
    case disconnected

    /// Whether a request that was open then may be what ended it.
    package var blamesRequests: Bool { self == .crashed || self == .outOfMemory }
}

extension EngineError.Code {
    /// The request was open each time that workers crashed, the last time alone; it is not tried again.
    package static let requestCrashedWorker = EngineError.Code(description: "request_crashed_worker")
}
