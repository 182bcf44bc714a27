internal import Foundation
internal import GRDB

/// Files: a row for each in the database, their content beside it under their ids.
package struct FileStore: Sendable {
    private let database: StateDatabase
    private let folder: String
    private let limits: StorageLimits
    private let space: FileSpace

    init(database: StateDatabase, folder: String, limits: StorageLimits) {
        self.database = database
        self.folder = folder
        self.limits = limits
        space = FileSpace(maximum: limits.maxTotalBytes)
    }

    /// The bytes that all files take.
    package var bytes: Int { space.bytes }

    private func path(_ id: String) -> String { folder + "/" + id }

    /// Begins a content.
    ///
    /// - Parameter id: the id that its file will have; only letters, digits, `-` and `_`.
    /// - Throws: ``StorageError`` with `full` or `unusable`.
    package func begin(_ id: String, isBounded: Bool = true) throws(StorageError) -> FileUpload {
        try FileUpload(
            path: path(id) + ".partial", space: space, maximum: isBounded ? limits.maxFileBytes : limits.maxTotalBytes)
    }

    /// Makes a file of a content; when this returns it survives the end of the process, and a power cut too.
    package func add(_ upload: FileUpload, as file: StoredFile) async throws(StorageError) {
        try await keep(upload, as: file)
        do throws(StorageError) {
            try await database.write { try file.insert(into: $0) }
        } catch {
            await remove([file])
            throw error
        }
    }

    /// Puts a content on disk under its name. Until a row names it, the next start removes it.
    func keep(_ upload: FileUpload, as file: StoredFile) async throws(StorageError) {
        let name = path(file.id)
        try await onFileThread { () throws(StorageError) in try upload.keep(as: name) }
    }

    /// The files from the one after `after` on.
    ///
    /// - Returns: `nil` where there is no file of that id.
    package func list(
        after: String?, limit: Int, isAscending: Bool, purpose: String?
    ) async throws(StorageError) -> StoredPage<StoredFile>? {
        try await database.read { database in
            var edge = isAscending ? 0 : Int.max
            if let after {
                let sql = "SELECT number FROM file WHERE id = ?"
                guard let number = try Int.fetchOne(database, sql: sql, arguments: [after]) else { return nil }
                edge = number
            }
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT * FROM file WHERE number \(isAscending ? ">" : "<") ? AND (? IS NULL OR purpose = ?)
                    ORDER BY number \(isAscending ? "ASC" : "DESC") LIMIT ?
                    """, arguments: [edge, purpose, purpose, limit + 1])
            return StoredPage(rows.map(StoredFile.init), limit: limit)
        }
    }

    /// The file of an id.
    package func file(_ id: String) async throws(StorageError) -> StoredFile? {
        try await database.read { database in
            try Row.fetchOne(database, sql: "SELECT * FROM file WHERE id = ?", arguments: [id]).map(StoredFile.init)
        }
    }

    /// Opens the content of a file.
    ///
    /// - Throws: ``StorageError`` with `unusable` where it cannot be read.
    package func content(of file: StoredFile) async throws(StorageError) -> FileContent {
        let name = path(file.id)
        return try await onFileThread { () throws(StorageError) in try FileContent(path: name) }
    }

    /// What came of ``delete(_:)``.
    package enum Deletion: Sendable { case deleted, absent, isInput }

    /// Deletes a file, but not one that a batch still reads.
    package func delete(_ id: String) async throws(StorageError) -> Deletion {
        let (deletion, file) = try await database.write { database in
            let row = try Row.fetchOne(database, sql: "SELECT * FROM file WHERE id = ?", arguments: [id])
            guard let file = row.map(StoredFile.init) else { return (Deletion.absent, nil as StoredFile?) }
            let sql = "SELECT 1 FROM batch WHERE input = ? AND NOT is_over"
            guard try Int.fetchOne(database, sql: sql, arguments: [id]) == nil else { return (.isInput, nil) }
            try database.execute(sql: "DELETE FROM file WHERE id = ?", arguments: [id])
            return (.deleted, file)
        }
        if let file { await remove([file]) }
        return deletion
    }

    /// Removes the files whose time has come, but none that a batch still reads.
    func prune(at now: Int) async throws(StorageError) {
        let files = try await database.write { database in
            let files = try Row.fetchAll(
                database,
                sql: """
                    DELETE FROM file WHERE expires <= ? AND id NOT IN (SELECT input FROM batch WHERE NOT is_over)
                    RETURNING *
                    """, arguments: [now])
            return files.map(StoredFile.init)
        }
        await remove(files)
    }

    /// Removes contents that no row names any more.
    func remove(_ files: [StoredFile]) async {
        await onFileThread {
            for file in files {
                guard unlink(path(file.id)) == 0 else { continue }
                space.give(file.bytes)
            }
        }
    }

    /// Removes what a killed process left half-written, and counts what is there.
    func recover() async throws(StorageError) {
        let known = try await database.read { try Set(String.fetchAll($0, sql: "SELECT id FROM file")) }
        try await onFileThread { () throws(StorageError) in
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
                throw StorageError(.unusable, "The folder \(folder) cannot be read: \(StateFolder.reason).")
            }
            for name in names {
                guard known.contains(name) else {
                    unlink(path(name))
                    continue
                }
                var status = stat()
                if stat(path(name), &status) == 0 { space.add(Int(status.st_size)) }
            }
        }
    }
}
