import CMartinetKernels
import Glibc
import Synchronization

/// Threads that compute the parts of one job together, many thousand jobs a second.
///
/// The calling thread is one of the team: ``run(tasks:_:)`` hands out tasks one by one to whoever is free, takes part
/// itself and returns when all are done. Between jobs the other threads spin for some tens of microseconds, then sleep,
/// so that a job that follows closely starts within a microsecond or two and an idle team costs nothing. A thread that
/// the system has put aside is not waited for unless it holds a task. A team larger than the machine never spins.
///
/// ```swift
/// let team = ThreadTeam(threadCount: ThreadTeam.recommendedThreadCount)
/// team.run(tasks: chunks) { chunk in multiply(rows: ranges[chunk]) }
/// ```
///
/// One job runs at a time: calling `run` from inside a task, or from a second thread meanwhile, is a programming error
/// and stops the process.
public final class ThreadTeam: Sendable {
    /// Threads that take part, the caller among them.
    public let threadCount: Int
    private let shared: TeamState
    private let threads: [pthread_t]

    /// Starts the threads.
    ///
    /// - Parameter threadCount: threads in all, the caller included; at least 1. Where the system refuses a thread, the
    ///   team is smaller: see ``threadCount``.
    public init(threadCount: Int) {
        let wanted = max(1, threadCount)
        let shared = TeamState(threads: wanted, spins: wanted > 1 && wanted <= Self.availableCores)
        var threads: [pthread_t] = []
        for index in 1..<wanted {
            guard let thread = Self.start(shared, index) else { break }
            threads.append(thread)
        }
        self.shared = shared
        self.threads = threads
        self.threadCount = threads.count + 1
    }

    deinit {
        shared.stop()
        for thread in threads { pthread_join(thread, nil) }
    }

    /// Runs `body` for every task in `0..<tasks`, in any order and on any thread of the team, and returns when all are
    /// done. What the tasks wrote is visible to the caller.
    ///
    /// - Parameters:
    ///   - tasks: how many, at most 2³¹; 0 or fewer does nothing. A few times the number of threads evens out unequal
    ///     speeds. Each thread begins with a run of consecutive tasks, in order.
    ///   - body: one task; it may be called from several threads at once and must not call the team.
    public func run(tasks: Int, _ body: (_ task: Int) -> Void) {
        guard tasks > 0 else { return }
        shared.begin()
        defer { shared.end() }
        if tasks == 1 || threads.isEmpty {
            for task in 0..<tasks { body(task) }
            return
        }
        withoutActuallyEscaping(body) { escapable in
            let job = TeamJob(tasks: tasks, body: escapable)
            withUnsafePointer(to: job) { shared.perform($0) }
        }
    }

    /// Runs `body` once for every index in `0..<threadCount`, for work that is split evenly beforehand. A fast thread
    /// may take a slow one's index too, so parts must not wait for one another.
    public func run(_ body: (_ threadIndex: Int, _ threadCount: Int) -> Void) {
        run(tasks: threadCount) { body($0, threadCount) }
    }

    /// Cores that this process may run on, by its affinity.
    public static var availableCores: Int { ProcessorQuota.allowedCores }

    /// A team size for this process: its cores, fewer where a control group limits its processor time.
    public static var recommendedThreadCount: Int {
        guard let quota = ProcessorQuota.current else { return availableCores }
        return min(availableCores, max(1, Int(quota.rounded(.up))))
    }

    private static func start(_ shared: TeamState, _ index: Int) -> pthread_t? {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return nil }
        defer { pthread_attr_destroy(&attributes) }
        // Kernels keep tiles of some tens of kilobytes on the stack.
        pthread_attr_setstacksize(&attributes, 1 << 20)
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Member(state: shared, index: index))
        let result = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                let member = Unmanaged<Member>.fromOpaque(context).takeRetainedValue()
                member.state.work(thread: member.index)
                return nil
            }, context.toOpaque())
        if result != 0 {
            context.release()
            return nil
        }
        return thread
    }

    /// What a thread needs to know when it starts.
    private final class Member {
        let state: TeamState
        let index: Int

        init(state: TeamState, index: Int) {
            self.state = state
            self.index = index
        }
    }
}
