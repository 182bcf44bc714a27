public import MartinetJSON

/// A file as `/v1/files` shows it.
public struct FileObject: Sendable, Hashable {
    /// Its name in the API, `file-…`.
    public var id: String
    /// What it is for.
    public var purpose: String
    /// The name that its sender gave it.
    public var filename: String
    /// Its size.
    public var bytes: Int
    /// When it came, in seconds since 1970.
    public var created: Int
    /// When it will be removed, in seconds since 1970; `nil` for never.
    public var expires: Int?

    /// Describes a file.
    public init(id: String, purpose: String, filename: String, bytes: Int, created: Int, expires: Int?) {
        self.id = id
        self.purpose = purpose
        self.filename = filename
        self.bytes = bytes
        self.created = created
        self.expires = expires
    }

    /// Writes OpenAI's `file` object.
    public func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("object", "file")
            writer.field("bytes", bytes)
            writer.field("created_at", created)
            writer.field("expires_at", expires)
            writer.field("filename", filename)
            writer.field("purpose", purpose)
            // Deprecated by OpenAI and still required by its clients' types.
            writer.field("status", "processed")
        }
    }
}
