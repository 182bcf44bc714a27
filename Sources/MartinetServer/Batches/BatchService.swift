package import Logging
internal import MartinetAPI
internal import MartinetFleet
internal import MartinetStorage
package import MartinetTelemetry
internal import ServiceLifecycle

/// Answers batches: takes each through its steps until it is over, and goes on where the last process ended.
///
/// All that counts is in the storage. A step that breaks off, by an error or with the process, is simply done again;
/// a line's result is kept once whatever happens.
package struct BatchService: Service {
    /// Posts a body to a route.
    package typealias Call =
        @Sendable (_ path: String, _ body: [UInt8], _ requestID: String) async throws -> InternalCalls.Answer

    let queue: BatchQueue
    let call: Call
    let slots: Slots
    let figures: BatchFigures
    let logger: Logger
    /// Most bytes of a line.
    let maxLineBytes: Int
    private static let tick = Duration.seconds(1)
    private static let secondsBetweenPrunes = 600
    /// Between tries of a step that failed.
    private static let backoff = Backoff(base: .seconds(1), maximum: .seconds(60))

    var storage: Storage { queue.storage }

    /// - Parameters:
    ///   - concurrency: most requests of all batches that run at once.
    ///   - call: posts a body to a route at the lowest class of traffic.
    package init(
        queue: BatchQueue, concurrency: Int, maxLineBytes: Int, registry: MetricsRegistry, logger: Logger,
        call: @escaping Call
    ) {
        self.queue = queue
        self.call = call
        self.logger = logger
        self.maxLineBytes = maxLineBytes
        let slots = Slots(concurrency)
        self.slots = slots
        figures = BatchFigures(registry: registry, storage: queue.storage) { slots.taken }
    }

    /// Works until the server ends.
    package func run() async throws {
        await cancelWhenGracefulShutdown { await work() }
    }

    /// Works until the task is cancelled. What is under way then goes on at the next start.
    package func work() async {
        let open = await retrying("batches cannot be read") { try await storage.batches.open() } ?? []
        if !open.isEmpty { logger.info("batches go on", metadata: ["batches": "\(open.count)"]) }
        await withDiscardingTaskGroup { group in
            group.addTask { await watch() }
            for id in open { group.addTask { await process(id) } }
            // One that came before the start stands in the storage too.
            let known = Set(open)
            for await id in queue.arrivals where !known.contains(id) {
                group.addTask { await process(id) }
            }
        }
    }

    /// Looks at the clock: ends batches whose time is over, and removes what was kept long enough.
    private func watch() async {
        var lastPrune: Int?
        while !Task.isCancelled {
            queue.expire()
            let time = queue.now()
            if lastPrune.map({ time - $0 >= Self.secondsBetweenPrunes }) ?? true {
                lastPrune = time
                do {
                    try await storage.prune(at: time)
                } catch {
                    logger.error("what is old cannot be removed", metadata: ["error": "\(error)"])
                }
            }
            try? await Task.sleep(for: Self.tick)
        }
    }

    /// Takes a batch to its end.
    private func process(_ id: String) async {
        figures.changeOpen(by: 1)
        defer { figures.changeOpen(by: -1) }
        await retrying("a batch cannot go on", ["batch": "\(id)"]) {
            while let batch = try await queue.batch(id) {
                switch batch.next(at: queue.now()) {
                case .validate: try await validate(batch)
                case .execute: try await execute(batch)
                case .write: try await write(batch)
                case .none:
                    logger.info(
                        "a batch is over",
                        metadata: [
                            "batch": "\(id)", "status": "\(batch.status.rawValue)", "total": "\(batch.counts.total)",
                            "completed": "\(batch.counts.completed)", "failed": "\(batch.counts.failed)",
                        ])
                    return
                }
                try Task.checkCancellation()
            }
        }
    }

    /// Does something until it succeeds, with growing pauses.
    ///
    /// - Returns: `nil` where the task is cancelled.
    @discardableResult
    private func retrying<Value>(
        _ problem: String, _ metadata: Logger.Metadata = [:], _ action: () async throws -> Value
    ) async -> Value? {
        var attempt = 0
        while !Task.isCancelled {
            do {
                return try await action()
            } catch is CancellationError {
                return nil
            } catch {
                logger.error(
                    "\(problem)", metadata: metadata.merging(["error": "\(error)"]) { $1 })
                try? await Task.sleep(for: Self.backoff.bound(attempt: attempt))
                attempt += 1
            }
        }
        return nil
    }

    /// Answers a batch's requests, until all are answered, it is cancelled, or its time is over.
    private func execute(_ batch: Batch) async throws {
        let task = Task { try await answer(batch) }
        queue.begin(batch, task)
        defer { queue.end(batch) }
        // It may have been cancelled before anyone could know of the task.
        if let current = try await queue.batch(batch.id), current.next(at: queue.now()) != .execute { task.cancel() }
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        do {
            try result.get()
        } catch is CancellationError {
            return
        }
        _ = try await queue.apply(.answered, to: batch.id)
    }
}
