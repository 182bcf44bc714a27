import Synchronization

/// The tasks of a job, dealt out as one range to each thread: a thread takes its own from the front, in order, so that
/// what it reads lies one after the other, and then those of others from the back.
struct TaskRanges: ~Copyable {
    /// The first task in the lower half, the end in the upper; each in a cache line of its own.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private let threads: Int
    private static let stride = 8

    init(threads: Int) {
        self.threads = threads
        words = .allocate(capacity: threads * Self.stride)
        for index in 0..<threads * Self.stride { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: threads * Self.stride)
        words.deallocate()
    }

    /// Deals out `tasks`, at most 2³¹; no thread may take any meanwhile.
    func deal(_ tasks: Int) {
        for thread in 0..<threads {
            let begin = tasks * thread / threads
            let end = tasks * (thread + 1) / threads
            words[thread * Self.stride].store(UInt64(end) << 32 | UInt64(begin), ordering: .relaxed)
        }
    }

    /// A task for `thread`, or `nil` where none is left.
    func take(_ thread: Int) -> Int? {
        if let task = take(from: thread, front: true) { return task }
        for offset in 1..<max(1, threads) {
            if let task = take(from: (thread + offset) % threads, front: false) { return task }
        }
        return nil
    }

    private func take(from thread: Int, front: Bool) -> Int? {
        let word = thread * Self.stride
        var value = words[word].load(ordering: .relaxed)
        while true {
            let (begin, end) = (value & 0xffff_ffff, value >> 32)
            guard begin < end else { return nil }
            let (exchanged, original) = words[word].weakCompareExchange(
                expected: value, desired: front ? value + 1 : value - (1 << 32), ordering: .relaxed)
            if exchanged { return Int(front ? begin : end - 1) }
            value = original
        }
    }
}
