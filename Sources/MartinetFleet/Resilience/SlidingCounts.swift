/// Counts of events, and of those among them that were marked, over the last stretch of time.
///
/// Time is cut into ten buckets, so an event is forgotten between nine tenths of the window and the whole of it.
struct SlidingCounts: Sendable {
    private struct Bucket {
        var index = -1
        var total = 0
        var marked = 0
    }

    private static let bucketCount = 10
    private let width: Duration
    private var origin: ContinuousClock.Instant?
    private var buckets = [Bucket](repeating: Bucket(), count: bucketCount)

    /// Counts over `window`, which is above zero.
    init(window: Duration) {
        width = max(window, .milliseconds(10)) / Self.bucketCount
    }

    /// Adds to the counts at a moment.
    mutating func add(total: Int = 0, marked: Int = 0, now: ContinuousClock.Instant) {
        let index = index(of: now)
        let place = index % Self.bucketCount
        if buckets[place].index != index { buckets[place] = Bucket(index: index) }
        buckets[place].total += total
        buckets[place].marked += marked
        if origin == nil { origin = now }
    }

    /// The sums over the window that ends at a moment.
    func sums(now: ContinuousClock.Instant) -> (total: Int, marked: Int) {
        let last = index(of: now)
        var sums = (total: 0, marked: 0)
        for bucket in buckets where bucket.index > last - Self.bucketCount && bucket.index <= last {
            sums.total += bucket.total
            sums.marked += bucket.marked
        }
        return sums
    }

    /// Forgets everything.
    mutating func reset() {
        for place in buckets.indices { buckets[place] = Bucket() }
    }

    private func index(of now: ContinuousClock.Instant) -> Int {
        guard let origin, now > origin else { return 0 }
        return Int(min((now - origin) / width, 1e15))
    }
}
