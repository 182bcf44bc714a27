internal import Foundation
internal import GRDB

/// A batch that is kept. What its document says is the API's business.
package struct BatchRecord: Sendable, Hashable {
    package var id: String
    /// The file of its requests.
    package var input: String
    /// Whether nothing will change any more.
    package var isOver: Bool
    /// Results that are no errors.
    package var completed = 0
    /// Results that are errors.
    package var failed = 0
    package var document: [UInt8]

    package init(id: String, input: String, isOver: Bool, document: [UInt8]) {
        self.id = id
        self.input = input
        self.isOver = isOver
        self.document = document
    }

    fileprivate init(_ row: Row) {
        self.init(
            id: row["id"], input: row["input"], isOver: row["is_over"], document: [UInt8](row["document"] as Data))
        completed = row["completed"]
        failed = row["failed"]
    }
}

/// The result of one line of a batch's file.
package struct BatchResultRecord: Sendable, Hashable {
    /// The line's number.
    package var line: Int
    /// Whether it belongs to the errors.
    package var isError: Bool
    /// What the output gets of it.
    package var content: [UInt8]

    package init(line: Int, isError: Bool, content: [UInt8]) {
        self.line = line
        self.isError = isError
        self.content = content
    }
}

/// Batches and their results.
package struct BatchStore: Sendable {
    let database: StateDatabase
    let files: FileStore

    /// Keeps a new batch.
    ///
    /// - Parameter maximumOpen: most batches that may be under way.
    /// - Returns: whether there was room for it.
    package func add(_ record: BatchRecord, at now: Int, maximumOpen: Int) async throws(StorageError) -> Bool {
        try await database.write { database in
            let open = try Int.fetchOne(database, sql: "SELECT count(*) FROM batch WHERE NOT is_over") ?? 0
            guard open < maximumOpen else { return false }
            try database.execute(
                sql: "INSERT INTO batch (id, input, is_over, updated, document) VALUES (?, ?, ?, ?, ?)",
                arguments: [record.id, record.input, record.isOver, now, Data(record.document)])
            return true
        }
    }

    /// The batch of an id.
    package func batch(_ id: String) async throws(StorageError) -> BatchRecord? {
        try await database.read { database in try Self.fetch(id, database) }
    }

    private static func fetch(_ id: String, _ database: Database) throws -> BatchRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM batch WHERE id = ?", arguments: [id]).map(BatchRecord.init)
    }

    /// The batches from the one after `after` on, newest first.
    ///
    /// - Returns: `nil` where there is no batch of that id.
    package func list(after: String?, limit: Int) async throws(StorageError) -> StoredPage<BatchRecord>? {
        try await database.read { database in
            var edge = Int.max
            if let after {
                let sql = "SELECT number FROM batch WHERE id = ?"
                guard let number = try Int.fetchOne(database, sql: sql, arguments: [after]) else { return nil }
                edge = number
            }
            let rows = try Row.fetchAll(
                database, sql: "SELECT * FROM batch WHERE number < ? ORDER BY number DESC LIMIT ?",
                arguments: [edge, limit + 1])
            return StoredPage(rows.map(BatchRecord.init), limit: limit)
        }
    }

    /// The ids of the batches that are under way, oldest first.
    package func open() async throws(StorageError) -> [String] {
        try await database.read { database in
            try String.fetchAll(database, sql: "SELECT id FROM batch WHERE NOT is_over ORDER BY number")
        }
    }

    /// Changes a batch; nobody else does meanwhile.
    ///
    /// - Parameters:
    ///   - files: files that come into being with the change.
    ///   - change: gives whether anything changed.
    /// - Returns: the batch as it is then, and whether it changed; `nil` where there is none.
    package func update(
        _ id: String, at now: Int, adding files: [(upload: FileUpload, file: StoredFile)] = [],
        _ change: @escaping @Sendable (inout BatchRecord) -> Bool
    ) async throws(StorageError) -> (record: BatchRecord, isChanged: Bool)? {
        let rows = files.map(\.file)
        var result: (record: BatchRecord, isChanged: Bool)?
        do throws(StorageError) {
            for (upload, file) in files { try await self.files.keep(upload, as: file) }
            result = try await database.write { database in
                guard var record = try Self.fetch(id, database) else { return nil }
                guard change(&record) else { return (record, false) }
                for row in rows { try row.insert(into: database) }
                try database.execute(
                    sql: "UPDATE batch SET document = ?, is_over = ?, updated = ? WHERE id = ?",
                    arguments: [Data(record.document), record.isOver, now, id])
                if record.isOver {
                    try database.execute(
                        sql: "DELETE FROM batch_result WHERE batch = (SELECT number FROM batch WHERE id = ?)",
                        arguments: [id])
                }
                return (record, true)
            }
        } catch {
            await self.files.remove(rows)
            throw error
        }
        if result?.isChanged != true { await self.files.remove(rows) }
        return result
    }

    /// Keeps a result. A second one of the same line, and one that comes after the end, count for nothing.
    package func add(_ result: BatchResultRecord, to id: String) async throws(StorageError) {
        try await database.write { database in
            try database.execute(
                sql: """
                    INSERT OR IGNORE INTO batch_result (batch, line, is_error, content)
                    SELECT number, ?, ?, ? FROM batch WHERE id = ? AND NOT is_over
                    """, arguments: [result.line, result.isError, Data(result.content), id])
            guard database.changesCount > 0 else { return }
            let column = result.isError ? "failed" : "completed"
            try database.execute(sql: "UPDATE batch SET \(column) = \(column) + 1 WHERE id = ?", arguments: [id])
        }
    }

    /// The lines that have a result.
    package func answeredLines(of id: String) async throws(StorageError) -> Set<Int> {
        try await database.read { database in
            try Set(
                Int.fetchAll(
                    database,
                    sql: "SELECT line FROM batch_result WHERE batch = (SELECT number FROM batch WHERE id = ?)",
                    arguments: [id]))
        }
    }

    /// Results after a line, in the order of lines: some of them, at least one where there is one.
    package func results(of id: String, after line: Int) async throws(StorageError) -> [BatchResultRecord] {
        try await database.read { database in
            let cursor = try Row.fetchCursor(
                database,
                sql: """
                    SELECT line, is_error, content FROM batch_result
                    WHERE batch = (SELECT number FROM batch WHERE id = ?) AND line > ? ORDER BY line
                    """, arguments: [id, line])
            var results: [BatchResultRecord] = []
            var bytes = 0
            while bytes < 1 << 20, let row = try cursor.next() {
                let content = [UInt8](row["content"] as Data)
                bytes += content.count
                results.append(BatchResultRecord(line: row["line"], isError: row["is_error"], content: content))
            }
            return results
        }
    }

    /// Removes batches that were over before a time.
    func prune(before time: Int) async throws(StorageError) {
        try await database.write { database in
            try database.execute(sql: "DELETE FROM batch WHERE is_over AND updated < ?", arguments: [time])
        }
    }
}
