internal import NIOCore
internal import NIOPosix

/// Runs tasks on the thread that also reads and writes their sockets: a message costs no hop between threads but the
/// one that wakes it.
final class LoopExecutor: TaskExecutor {
    /// What a process's connections to workers share. Never shut down, so that no task is left behind in it.
    static let client = LoopExecutor()
    /// What a process's connections from frontends share.
    static let server = LoopExecutor()

    let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop

    private init() {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        loop = group.next()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    /// Runs something on the thread, after what was given before.
    func execute(_ body: @escaping @Sendable () -> Void) { loop.execute(body) }
}
