internal import Foundation

/// How a process ended.
package enum WorkerExit: Sendable, Hashable, CustomStringConvertible {
    /// It exited.
    case status(Int32)
    /// A signal ended it; whether the kernel sent it for want of memory, as far as can be known.
    case signal(Int32, outOfMemory: Bool = false)

    /// Reads what `waitpid` gives.
    init(waitStatus: Int32, outOfMemory: Bool) {
        let signal = waitStatus & 0x7f
        self =
            signal == 0
            ? .status((waitStatus >> 8) & 0xff) : .signal(signal, outOfMemory: outOfMemory)
    }

    /// What it means for the requests that were open.
    package var loss: WorkerLoss {
        switch self {
        case .status(0): .ended
        // A shell's way to say that its program was killed.
        case .status(128 + SIGKILL), .status(128 + SIGTERM): .killed
        case .status: .crashed
        case .signal(_, outOfMemory: true): .outOfMemory
        case .signal(SIGILL, _), .signal(SIGTRAP, _), .signal(SIGABRT, _), .signal(SIGSEGV, _), .signal(SIGBUS, _),
            .signal(SIGFPE, _), .signal(SIGSYS, _):
            .crashed
        case .signal: .killed
        }
    }

    package var description: String {
        switch self {
        case .status(let status): "exited with status \(status)"
        case .signal(let signal, outOfMemory: true): "killed by signal \(signal): out of memory"
        case .signal(let signal, outOfMemory: false): "killed by signal \(signal)"
        }
    }
}
