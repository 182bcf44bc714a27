internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetStorage
internal import NIOCore

/// What a client sends to `POST /v1/files`: a form of a file and fields, whose content goes to disk as it comes.
struct FileForm {
    /// The content.
    var upload: FileUpload
    /// The name that the client gave it.
    var filename: String
    /// What it is for.
    var purpose: FilePurpose
    /// Seconds after which the client wants it removed.
    var lifetime: Int?

    /// Most bytes of a field.
    private static let maximumFieldBytes = 1024
    /// How much of a body is read past an error: a client that is still sending would not read the answer.
    private static let droppedBytes = 256 << 20

    /// Reads a request's body.
    ///
    /// - Parameter begin: begins the content.
    /// - Throws: ``APIError`` 400, 413 or 415, or ``StorageError``.
    init(_ request: Request, begin: () throws(StorageError) -> FileUpload) async throws {
        var reader = FormReader(parser: try MultipartParser(contentType: request.headers[.contentType]))
        var failure: (any Error)?
        var dropped = 0
        do {
            for try await part in request.body {
                guard failure == nil else {
                    dropped += part.readableBytes
                    if dropped > Self.droppedBytes { break }
                    continue
                }
                do {
                    try await reader.consume(part, begin: begin)
                } catch {
                    failure = error
                    // What is on disk already makes room at once.
                    reader.upload = nil
                }
            }
        } catch {
            throw APIError(status: 400, "The body broke off or is not valid HTTP: \(error).", code: "invalid_body")
        }
        if let failure { throw failure }
        try self.init(reader.finish())
    }

    private init(_ reader: FormReader) throws(APIError) {
        guard let upload = reader.upload else {
            throw .invalid("file", "`file` is required: the content to keep.", code: "missing_required_parameter")
        }
        guard let purpose = reader.fields["purpose"] else {
            throw .invalid("purpose", "`purpose` is required.", code: "missing_required_parameter")
        }
        self.upload = upload
        self.purpose = try FilePurpose(uploaded: purpose)
        filename = reader.filename
        if let anchor = reader.fields["expires_after[anchor]"], anchor != "created_at" {
            throw .invalid("expires_after.anchor", "`expires_after.anchor` must be `created_at`.")
        }
        if let text = reader.fields["expires_after[seconds]"] {
            guard let seconds = Int(text), (3600...2_592_000).contains(seconds) else {
                throw .invalid(
                    "expires_after.seconds",
                    "`expires_after.seconds` must be an integer from 3600 to 2592000, got `\(text.prefix(64))`.")
            }
            lifetime = seconds
        }
    }

    /// Puts the parts of a form where they belong.
    private struct FormReader {
        enum Part { case file, field(String), ignored }

        var parser: MultipartParser
        var upload: FileUpload?
        var filename = "file"
        var fields: [String: String] = [:]
        private var part = Part.ignored
        private var value: [UInt8] = []

        init(parser: MultipartParser) {
            self.parser = parser
        }

        mutating func consume(_ bytes: ByteBuffer, begin: () throws(StorageError) -> FileUpload) async throws {
            for event in try parser.consume(bytes.readableBytesView) {
                switch (event, part) {
                case (.part("file", let name), _):
                    guard upload == nil else { throw APIError.invalid("file", "`file` may be there once.") }
                    filename = String((name ?? "").split(separator: "/").last ?? "file")
                    guard filename.utf8.count <= 255 else {
                        throw APIError.invalid("file", "The file's name must have at most 255 bytes.")
                    }
                    upload = try begin()
                    part = .file
                case (.part(let name, _), _):
                    part = .field(name)
                    value = []
                case (.bytes(let bytes), .file): try await upload?.write(bytes)
                case (.bytes(let bytes), .field(let name)):
                    guard value.count + bytes.count <= FileForm.maximumFieldBytes else {
                        throw APIError.invalid(
                            String(name.prefix(64)),
                            "The field `\(name.prefix(64))` must have at most \(FileForm.maximumFieldBytes) bytes.")
                    }
                    value += bytes
                case (.end, .field(let name)):
                    fields[name] = String(decoding: value, as: UTF8.self)
                    part = .ignored
                case (.end, _), (.bytes, .ignored): part = .ignored
                }
            }
        }

        func finish() throws -> FormReader {
            try parser.finish()
            return self
        }
    }
}
