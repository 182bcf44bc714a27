/// What outlives the process: one SQLite database, and the contents of files beside it. It ends with its last holder, and
/// its parts with it: who keeps one of them keeps the storage.
///
/// ```swift
/// let storage = try await Storage.open(folder: "/var/lib/martinet")
/// let files = try await storage.files.list(after: nil, limit: 20, isAscending: false, purpose: nil)
/// ```
public final class Storage: Sendable {
    /// The files of clients and of batches.
    package let files: FileStore
    /// Batches and their results.
    package let batches: BatchStore
    /// Answers that are kept.
    package let responses: ResponseTable
    /// How much is kept.
    public let limits: StorageLimits
    private let folder: StateFolder
    private let database: StateDatabase

    /// Opens what a folder holds; makes it where nothing is there. What a killed process left half-written is removed.
    ///
    /// - Throws: ``StorageError`` where the folder is another process's, cannot be used, or holds a database that is
    ///   damaged or of a later version.
    public static func open(folder: String, limits: StorageLimits = StorageLimits()) async throws(StorageError)
        -> Storage
    {
        let storage = try Storage(folder: folder, limits: limits)
        try await storage.files.recover()
        return storage
    }

    private init(folder path: String, limits: StorageLimits) throws(StorageError) {
        folder = try StateFolder(path)
        self.limits = limits
        database = try StateDatabase(path: folder.database, maximumBytes: limits.maxTotalBytes)
        files = FileStore(database: database, folder: folder.files, limits: limits)
        batches = BatchStore(database: database, files: files)
        responses = ResponseTable(database: database, limits: limits)
    }

    deinit { database.close() }

    /// Removes what has been kept long enough.
    ///
    /// - Parameter now: the time in seconds since 1970.
    package func prune(at now: Int) async throws(StorageError) {
        try await files.prune(at: now)
        guard let retention = limits.retention else { return }
        try await batches.prune(before: now - retention)
        try await responses.prune(before: now - retention)
    }
}
