package import MartinetAPI
package import MartinetStorage
internal import Synchronization

/// The batches that are kept, and what is known of those under way: what the routes and ``BatchService`` share.
package final class BatchQueue: Sendable {
    /// The answering of batches, to be ended when they are cancelled or their time is over.
    private let running = Mutex<[String: (expires: Int, task: Task<Void, any Error>)]>([:])
    private let submitted = AsyncStream.makeStream(of: String.self)
    let storage: Storage
    /// The time in seconds since 1970.
    let now: @Sendable () -> Int
    /// Most batches that may be under way.
    static let maximumOpen = 256

    /// - Parameter now: gives the time in seconds since 1970.
    package init(storage: Storage, now: @escaping @Sendable () -> Int) {
        self.storage = storage
        self.now = now
    }

    /// The ids of batches that came while this process runs; for one reader.
    var arrivals: AsyncStream<String> { submitted.stream }

    /// Takes a new batch.
    ///
    /// - Returns: the batch; `nil` where too many are under way.
    package func submit(_ request: BatchRequest) async throws(StorageError) -> Batch? {
        let batch = Batch(id: "batch_" + RequestMiddleware.newID(), request: request, at: now())
        let record = BatchRecord(id: batch.id, input: batch.inputFile, isOver: false, document: batch.body)
        guard try await storage.batches.add(record, at: now(), maximumOpen: Self.maximumOpen) else { return nil }
        submitted.continuation.yield(batch.id)
        return batch
    }

    /// Cancels a batch; what was answered stays.
    ///
    /// - Returns: the batch as it is then, and whether that changed it; `nil` where there is none.
    package func cancel(_ id: String) async throws(StorageError) -> (batch: Batch, isChanged: Bool)? {
        guard let result = try await apply(.cancelled, to: id) else { return nil }
        running.withLock { $0[id]?.task }?.cancel()
        return result
    }

    /// The batch of an id, with the counts of this moment.
    package func batch(_ id: String) async throws(StorageError) -> Batch? {
        try await storage.batches.batch(id).flatMap { Batch($0) }
    }

    /// Lets an event happen to a batch, as the storage has it now.
    func apply(
        _ event: Batch.Event, to id: String, adding files: [(upload: FileUpload, file: StoredFile)] = []
    ) async throws(StorageError) -> (batch: Batch, isChanged: Bool)? {
        let time = now()
        let result = try await storage.batches.update(id, at: time, adding: files) { record in
            guard var batch = Batch(record), batch.apply(event, at: time) else { return false }
            record.document = batch.body
            record.isOver = batch.status.isOver
            return true
        }
        guard let result, let batch = Batch(result.record) else { return nil }
        return (batch, result.isChanged)
    }

    // MARK: What runs

    /// Notes that a batch is being answered.
    func begin(_ batch: Batch, _ task: Task<Void, any Error>) {
        running.withLock { $0[batch.id] = (batch.expires, task) }
    }

    /// Notes that it is not any more.
    func end(_ batch: Batch) {
        running.withLock { _ = $0.removeValue(forKey: batch.id) }
    }

    /// Ends the answering of batches whose time is over.
    func expire() {
        let time = now()
        for task in running.withLock({ $0.values.filter { $0.expires <= time }.map(\.task) }) { task.cancel() }
    }
}

extension Batch {
    /// A batch as it is kept, with the counts of this moment.
    init?(_ record: BatchRecord) {
        self.init(body: record.document)
        counts.completed = record.completed
        counts.failed = record.failed
    }
}
