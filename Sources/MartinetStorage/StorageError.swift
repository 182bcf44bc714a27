internal import GRDB

/// Why something could not be kept or found again.
public struct StorageError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name, as clients see it.
        public let description: String

        /// Names a code.
        public init(description: String) { self.description = description }

        /// Another process has the folder.
        public static let inUse = Code(description: "storage_in_use")
        /// The folder or a file of it cannot be read or written.
        public static let unusable = Code(description: "storage_unusable")
        /// The database is damaged.
        public static let corrupt = Code(description: "storage_corrupt")
        /// A later version made the database.
        public static let newer = Code(description: "storage_newer")
        /// The disk, or what may be used of it, is full.
        public static let full = Code(description: "storage_full")
        /// Another program holds the database.
        public static let busy = Code(description: "storage_busy")
        /// A file has more bytes than a file may have.
        public static let fileTooLarge = Code(description: "file_too_large")
    }
    /// What kind of error it is.
    public var code: Code
    /// What went wrong with what, and what to do.
    public var message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// What an error of the database means.
    init(database error: any Error) {
        guard let error = error as? DatabaseError else {
            self = error as? StorageError ?? StorageError(.unusable, "The database failed: \(error)")
            return
        }
        let reason = error.message ?? "\(error.resultCode)"
        switch error.resultCode {
        case .SQLITE_FULL:
            self.init(.full, "The database has no room: the disk or its share of it is full. Make room and try again.")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            self.init(.corrupt, "The database is damaged (\(reason)). Put a backup in its place, or move it away.")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self.init(.busy, "Another program holds the database. Try again when it has ended.")
        default: self.init(.unusable, "The database cannot be used: \(reason) (\(error.extendedResultCode)).")
        }
    }
}
