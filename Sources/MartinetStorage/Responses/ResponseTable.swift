internal import Foundation
internal import GRDB

/// An answer that is kept; what its texts mean is the API's business.
package struct ResponseRecord: Sendable, Hashable {
    package var id: String
    package var previous: String?
    package var model: String
    package var status: String
    /// Seconds since 1970.
    package var created: Int
    package var input: String
    package var output: String
    package var body: [UInt8]

    package init(
        id: String, previous: String?, model: String, status: String, created: Int, input: String, output: String,
        body: [UInt8]
    ) {
        self.id = id
        self.previous = previous
        self.model = model
        self.status = status
        self.created = created
        self.input = input
        self.output = output
        self.body = body
    }

    fileprivate var bytes: Int { input.utf8.count + output.utf8.count + body.count }
}

/// Answers that are kept, the newest of them: the oldest go where count or bytes exceed their bound.
package struct ResponseTable: Sendable {
    let database: StateDatabase
    let limits: StorageLimits

    /// Keeps a response; one of the same id is replaced.
    package func save(_ record: ResponseRecord) async throws(StorageError) {
        try await database.write { [limits] database in
            try database.execute(sql: "DELETE FROM response WHERE id = ?", arguments: [record.id])
            try database.execute(
                sql: """
                    INSERT INTO response (id, previous, model, status, created, bytes, input, output, body)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    record.id, record.previous, record.model, record.status, record.created, record.bytes,
                    record.input, record.output, Data(record.body),
                ])
            try Self.shrink(database, limits)
        }
    }

    /// Removes the oldest until the bounds hold; the newest stays.
    private static func shrink(_ database: Database, _ limits: StorageLimits) throws {
        while let row = try Row.fetchOne(database, sql: "SELECT count, bytes FROM response_total") {
            let (count, bytes) = (row[0] as Int, row[1] as Int)
            guard count > 1, count > limits.maxResponses || bytes > limits.maxResponseBytes else { return }
            try database.execute(sql: "DELETE FROM response WHERE number = (SELECT min(number) FROM response)")
        }
    }

    /// The response of an id.
    package func response(_ id: String) async throws(StorageError) -> ResponseRecord? {
        try await database.read { database in
            let row = try Row.fetchOne(database, sql: "SELECT * FROM response WHERE id = ?", arguments: [id])
            return row.map { row in
                ResponseRecord(
                    id: row["id"], previous: row["previous"], model: row["model"], status: row["status"],
                    created: row["created"], input: row["input"], output: row["output"],
                    body: [UInt8](row["body"] as Data))
            }
        }
    }

    /// Forgets a response.
    ///
    /// - Returns: whether there was one.
    package func delete(_ id: String) async throws(StorageError) -> Bool {
        try await database.write { database in
            try database.execute(sql: "DELETE FROM response WHERE id = ?", arguments: [id])
            return database.changesCount > 0
        }
    }

    /// Removes what is older than a time, some at once: others write in between.
    func prune(before time: Int) async throws(StorageError) {
        var removed = 0
        repeat {
            removed = try await database.write { database in
                try database.execute(
                    sql:
                        "DELETE FROM response WHERE number IN (SELECT number FROM response WHERE created < ? LIMIT 500)",
                    arguments: [time])
                return database.changesCount
            }
        } while removed > 0
    }
}
