/// Sends requests as a pattern wants them, and collects what is seen of each.
public struct LoadGenerator: Sendable {
    /// When requests come.
    public var pattern: ArrivalPattern
    /// Fixes the times of arrival.
    public var seed: UInt64
    /// Most requests under way at once; `nil` sets no bound.
    public var concurrency: Int?
    /// Requests in all; `nil` leaves the end to `duration`.
    public var requests: Int?
    /// After this time no more requests are sent; those under way end.
    public var duration: Duration?

    /// Describes a run. At least one of `requests` and `duration` must be given, or the run has no end.
    public init(
        pattern: ArrivalPattern, seed: UInt64 = 0, concurrency: Int? = nil, requests: Int? = nil,
        duration: Duration? = nil
    ) {
        self.pattern = pattern
        self.seed = seed
        self.concurrency = concurrency
        self.requests = requests
        self.duration = duration
    }

    /// Runs.
    ///
    /// - Parameter send: sends the request with this number and returns when it is over.
    /// - Returns: the records in the order in which requests ended, and the seconds it all took.
    /// - Throws: `CancellationError` where the task is cancelled.
    public func run(
        send: @escaping @Sendable (Int) async -> RequestRecord
    ) async throws -> (records: [RequestRecord], seconds: Double) {
        let clock = ContinuousClock()
        let begin = clock.now
        var records: [RequestRecord] = []
        try await withThrowingTaskGroup(of: RequestRecord.self) { group in
            var underWay = 0
            for (index, time) in pattern.times(seed: seed).enumerated() {
                if let requests, index >= requests { break }
                if let duration, .seconds(time) >= duration { break }
                let due = begin + .seconds(time)
                if due > clock.now { try await clock.sleep(until: due, tolerance: .zero) }
                while let concurrency, underWay >= concurrency, let record = try await group.next() {
                    records.append(record)
                    underWay -= 1
                }
                if let duration, clock.now - begin >= duration { break }
                try Task.checkCancellation()
                // Where requests wait for each other, that is the pattern, and nothing is late.
                let delay = concurrency == nil && time > 0 ? (clock.now - due) / .seconds(1) : 0
                group.addTask {
                    var record = await send(index)
                    record.delay = delay
                    return record
                }
                underWay += 1
            }
            for try await record in group { records.append(record) }
        }
        return (records, (clock.now - begin) / .seconds(1))
    }
}
