internal import Dispatch
internal import Foundation
internal import GRDB
internal import Synchronization

/// The database: many readers, one writer that commits together what came meanwhile.
///
/// What was committed survives the end of the process, however it comes: SQLite's log has been handed to the system.
/// A power cut may lose the last commits, never the database.
final class StateDatabase: Sendable {
    private let pool: DatabasePool
    private let queue = Mutex(Queue())

    private struct Queue {
        var waiting: [Change] = []
        var isWriting = false
    }

    /// A change that waits for its turn, and what takes its outcome.
    private struct Change: Sendable {
        /// Runs it within a transaction, and gives what tells its outcome once that has ended.
        var run: @Sendable (Database) -> @Sendable (StorageError?) -> Void
        var fail: @Sendable (StorageError) -> Void
    }

    /// Opens the database and brings it to this version's schema.
    ///
    /// - Parameter maximumBytes: how large it may grow.
    init(path: String, maximumBytes: Int) throws(StorageError) {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.label = "martinet.storage"
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
            let pageBytes = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096
            let pages = min(4_294_967_294, max(64, maximumBytes / max(512, pageBytes)))
            try database.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            let migrator = Migrations.migrator
            guard try !pool.read(migrator.hasBeenSuperseded) else {
                throw StorageError(
                    .newer,
                    "The database \(path) was made by a later version. Run that version, or name another folder.")
            }
            try migrator.migrate(pool)
        } catch {
            var error = StorageError(database: error)
            if !error.message.contains(path) { error.message = "\(path): \(error.message)" }
            throw error
        }
    }

    /// Ends all connections.
    func close() {
        try? pool.close()
    }

    /// Reads.
    func read<Value: Sendable>(
        _ action: @escaping @Sendable (Database) throws -> Value
    ) async throws(StorageError) -> Value {
        let result = await withCheckedContinuation { (done: CheckedContinuation<Result<Value, StorageError>, Never>) in
            pool.asyncRead { database in
                done.resume(returning: Self.outcome { try action(database.get()) })
            }
        }
        return try result.get()
    }

    /// Changes something, all or nothing; returns when that is committed. Changes of several callers share a transaction.
    func write<Value: Sendable>(
        _ action: @escaping @Sendable (Database) throws -> Value
    ) async throws(StorageError) -> Value {
        let result = await withCheckedContinuation { (done: CheckedContinuation<Result<Value, StorageError>, Never>) in
            let change = Change(
                run: { database in
                    let outcome = Self.outcome { try Self.inSavepoint(database, action) }
                    return { failure in done.resume(returning: failure.map(Result.failure) ?? outcome) }
                },
                fail: { done.resume(returning: .failure($0)) })
            let isFirst = queue.withLock { queue in
                queue.waiting.append(change)
                defer { queue.isWriting = true }
                return !queue.isWriting
            }
            if isFirst { writeAll() }
        }
        return try result.get()
    }

    private static func outcome<Value>(_ action: () throws -> Value) -> Result<Value, StorageError> {
        do {
            return .success(try action())
        } catch {
            return .failure(StorageError(database: error))
        }
    }

    private static func inSavepoint<Value>(
        _ database: Database, _ action: (Database) throws -> Value
    ) throws -> Value {
        var value: Result<Value, any Error> = .failure(StorageError(.unusable, "The change did not run."))
        try database.inSavepoint {
            value = .success(try action(database))
            return .commit
        }
        return try value.get()
    }

    /// Writes what waits, and what comes meanwhile, on the writer's thread.
    private func writeAll() {
        pool.asyncWriteWithoutTransaction { [self] database in
            while true {
                let changes = queue.withLock { queue in
                    defer { queue.waiting = [] }
                    if queue.waiting.isEmpty { queue.isWriting = false }
                    return queue.waiting
                }
                guard !changes.isEmpty else { return }
                Self.write(changes, to: database)
            }
        }
    }

    private static func write(_ changes: [Change], to database: Database) {
        var ends: [@Sendable (StorageError?) -> Void] = []
        var failure: StorageError?
        do {
            try database.inTransaction(.immediate) {
                for change in changes {
                    ends.append(change.run(database))
                    // A full disk takes the whole transaction back, not one change.
                    guard database.isInsideTransaction else {
                        throw StorageError(
                            .full, "The database took the change back: the disk, or its share of it, is full.")
                    }
                }
                return .commit
            }
        } catch {
            failure = StorageError(database: error)
        }
        for end in ends { end(failure) }
        guard let failure else { return }
        for change in changes.dropFirst(ends.count) { change.fail(failure) }
    }
}
