import ArgumentParser
import MartinetServer
import MartinetStorage

/// Flags of what outlives the process.
struct StorageFlags: ParsableArguments {
    @Option(help: "A folder for files, batches and stored responses; without it there are none.")
    var dataDir: String?

    @Option(help: "Most bytes of one uploaded file (512MiB).")
    var maxFileBytes: String?

    @Option(help: "Most bytes of all files; the database may take as many again (10GiB).")
    var maxDataBytes: String?

    @Option(help: "Days that files, finished batches and responses are kept; 0 for ever (30).")
    var retentionDays: Int?

    @Option(help: "Most requests of batches that run at once (8).")
    var batchConcurrency: Int?

    /// Opens the storage; `nil` where no folder is named.
    ///
    /// - Throws: `CommandFailure` where the folder cannot be used.
    func open(_ settings: Settings) async throws -> Storage? {
        var limits = StorageLimits()
        if let bytes = try settings.bytes("max-file-bytes", maxFileBytes) { limits.maxFileBytes = bytes }
        if let bytes = try settings.bytes("max-data-bytes", maxDataBytes) { limits.maxTotalBytes = bytes }
        if let days = try settings.integer("retention-days", retentionDays, in: 0...36_500) {
            limits.retention = days == 0 ? nil : days * 24 * 3600
        }
        guard let folder = settings.text("data-dir", dataDir) else { return nil }
        guard !folder.isEmpty else { throw ValidationError("--data-dir must name a folder.") }
        do {
            return try await Storage.open(folder: folder, limits: limits)
        } catch {
            throw CommandFailure(error.message)
        }
    }

    /// Puts what these flags say of the server into its configuration.
    func apply(_ settings: Settings, to configuration: inout ServerConfiguration) throws {
        if let count = try settings.integer("batch-concurrency", batchConcurrency, in: 1...4096) {
            configuration.batchConcurrency = count
        }
    }
}
