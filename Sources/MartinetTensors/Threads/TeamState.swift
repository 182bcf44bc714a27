import CMartinetKernels
import Glibc
import Synchronization

/// A job while it runs: it lives on the stack of the thread that called `run`.
struct TeamJob {
    let tasks: Int
    let body: (Int) -> Void
}

/// What the threads of a team share.
///
/// `job` word: the number of the job in the upper half, whether it is open in bit 31, and below how many threads are
/// inside it. A thread enters by raising that count while the job is open; the caller closes the job when no task is
/// left to hand out and waits for those inside only.
final class TeamState: @unchecked Sendable {
    // Sendable holds because `current` is written before the job opens and read only by threads that have entered it;
    // everything else is atomic or guarded by `mutex`.

    private static let open: UInt64 = 1 << 31
    private static let inside: UInt64 = open - 1

    private let job = Atomic<UInt64>(0)
    private let ranges: TaskRanges
    private let sleepers = Atomic<Int>(0)
    private let callerSleeps = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)
    private let busy = Atomic<Bool>(false)
    private var current: UnsafePointer<TeamJob>?
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let finished = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Turns of a waiting loop before sleeping.
    private let spinLimit: Int

    init(threads: Int, spins: Bool) {
        ranges = TaskRanges(threads: threads)
        spinLimit = spins ? Self.spinsIn(.microseconds(40)) : 0
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wake, nil)
        pthread_cond_init(finished, nil)
    }

    deinit {
        pthread_cond_destroy(finished)
        pthread_cond_destroy(wake)
        pthread_mutex_destroy(mutex)
        finished.deallocate()
        wake.deallocate()
        mutex.deallocate()
    }

    /// Turns of a waiting loop that take about `time`: the pause instruction takes 10 to 140 cycles, by processor.
    private static func spinsIn(_ time: Duration) -> Int {
        let clock = ContinuousClock()
        let probes = 500
        let elapsed = clock.measure { for _ in 0..<probes { mk_pause() } }
        return min(20_000, max(50, Int(time / max(elapsed, .nanoseconds(100)) * Double(probes))))
    }

    // MARK: The caller

    func begin() {
        let wasBusy = busy.exchange(true, ordering: .acquiring)
        precondition(!wasBusy, "ThreadTeam.run was called while a job of the same team runs")
    }

    func end() {
        busy.store(false, ordering: .releasing)
    }

    func perform(_ pointer: UnsafePointer<TeamJob>) {
        current = pointer
        ranges.deal(pointer.pointee.tasks)
        let number = (job.load(ordering: .relaxed) >> 32) &+ 1
        job.store(number << 32 | Self.open, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
            locked { _ = pthread_cond_broadcast(wake) }
        }
        takeTasks(pointer, thread: 0)
        let closed = job.bitwiseAnd(~Self.open, ordering: .sequentiallyConsistent).newValue
        if closed & Self.inside != 0 { waitForOthers() }
    }

    private func waitForOthers() {
        for _ in 0..<spinLimit {
            if job.load(ordering: .acquiring) & Self.inside == 0 { return }
            mk_pause()
        }
        locked {
            callerSleeps.store(true, ordering: .sequentiallyConsistent)
            while job.load(ordering: .sequentiallyConsistent) & Self.inside != 0 { pthread_cond_wait(finished, mutex) }
            callerSleeps.store(false, ordering: .relaxed)
        }
    }

    func stop() {
        locked {
            stopping.store(true, ordering: .sequentiallyConsistent)
            pthread_cond_broadcast(wake)
        }
    }

    // MARK: The others

    func work(thread: Int) {
        var seen: UInt64 = 0
        while let number = awaitJob(after: seen) {
            seen = number
            guard enter(number) else { continue }
            if let current { takeTasks(current, thread: thread) }
            leave()
        }
    }

    /// The number of a job other than `seen`, or `nil` when the team ends.
    private func awaitJob(after seen: UInt64) -> UInt64? {
        for _ in 0..<spinLimit {
            let number = job.load(ordering: .acquiring) >> 32
            if number != seen { return number }
            if stopping.load(ordering: .relaxed) { return nil }
            mk_pause()
        }
        var result: UInt64?
        locked {
            sleepers.add(1, ordering: .sequentiallyConsistent)
            while !stopping.load(ordering: .relaxed) {
                let number = job.load(ordering: .sequentiallyConsistent) >> 32
                if number != seen {
                    result = number
                    break
                }
                pthread_cond_wait(wake, mutex)
            }
            sleepers.subtract(1, ordering: .sequentiallyConsistent)
        }
        return result
    }

    private func enter(_ number: UInt64) -> Bool {
        var value = job.load(ordering: .relaxed)
        while value & Self.open != 0, value >> 32 == number {
            let (exchanged, original) = job.weakCompareExchange(
                expected: value, desired: value + 1, ordering: .acquiringAndReleasing)
            if exchanged { return true }
            value = original
        }
        return false
    }

    private func leave() {
        let left = job.subtract(1, ordering: .sequentiallyConsistent).newValue
        guard left & (Self.open | Self.inside) == 0, callerSleeps.load(ordering: .sequentiallyConsistent) else {
            return
        }
        locked { _ = pthread_cond_signal(finished) }
    }

    /// Not inlined, so that no reference to the closure outlives the call.
    @inline(never)
    private func takeTasks(_ pointer: UnsafePointer<TeamJob>, thread: Int) {
        while let task = ranges.take(thread) { pointer.pointee.body(task) }
    }

    private func locked(_ body: () -> Void) {
        pthread_mutex_lock(mutex)
        body()
        pthread_mutex_unlock(mutex)
    }
}
