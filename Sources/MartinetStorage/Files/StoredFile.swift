internal import GRDB

/// A file that is kept: what is known of it beside its content.
package struct StoredFile: Sendable, Hashable {
    package var id: String
    /// What it is for; the API's word.
    package var purpose: String
    /// The name that its sender gave it.
    package var filename: String
    package var bytes: Int
    /// Seconds since 1970.
    package var created: Int
    /// When it may be removed, in seconds since 1970; `nil` for never.
    package var expires: Int?

    package init(id: String, purpose: String, filename: String, bytes: Int, created: Int, expires: Int?) {
        self.id = id
        self.purpose = purpose
        self.filename = filename
        self.bytes = bytes
        self.created = created
        self.expires = expires
    }

    init(_ row: Row) {
        self.init(
            id: row["id"], purpose: row["purpose"], filename: row["filename"], bytes: row["bytes"],
            created: row["created"], expires: row["expires"])
    }

    func insert(into database: Database) throws {
        try database.execute(
            sql: "INSERT INTO file (id, purpose, filename, bytes, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [id, purpose, filename, bytes, created, expires])
    }
}

/// A page of a list.
package struct StoredPage<Element: Sendable>: Sendable {
    /// What stands on it.
    package var elements: [Element]
    /// Whether more comes after it.
    package var hasMore: Bool

    /// Cuts a page from what was read, one more than it may hold.
    init(_ read: [Element], limit: Int) {
        elements = Array(read.prefix(limit))
        hasMore = read.count > limit
    }
}
