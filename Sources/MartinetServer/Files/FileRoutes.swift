internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetJSON
internal import MartinetStorage
internal import MartinetTelemetry
internal import NIOCore

/// OpenAI's `/v1/files`.
struct FileRoutes: RouteGroup {
    let storage: Storage
    let gate: StorageGate
    let origins: CrossOriginPolicy

    let methods: [String: [HTTPRequest.Method]] = [
        "/v1/files": [.get, .head, .post], "/v1/files/{id}": [.get, .head, .delete],
        "/v1/files/{id}/content": [.get, .head],
    ]
    /// How much of a content is read and sent at once.
    private static let chunkBytes = 256 << 10

    func add(to router: Router<MartinetContext>) {
        router.post("v1/files") { request, _ in
            try refuseOtherOrigins(request)
            return try await gate { try await upload(request) }
        }
        router.get("v1/files") { request, _ in
            let parameters = request.uri.queryParameters
            let query = try ListQuery(limit: 10_000, maximum: 10_000) { parameters[Substring($0)].map(String.init) }
            let purpose = parameters["purpose"].map(String.init)
            let page = try await gate {
                try await storage.files.list(
                    after: query.after, limit: query.limit, isAscending: query.isAscending, purpose: purpose)
            }
            guard let page else { throw APIError.invalid("after", "`after` must be the id of a file.") }
            let entries = page.elements.map { file in
                var writer = JSONWriter()
                FileObject(file).write(to: &writer)
                return (id: file.id, json: writer.bytes)
            }
            return CallRouter.json(ListAnswer.body(entries, hasMore: page.hasMore))
        }
        router.get("v1/files/:id") { _, context in
            Self.answer(try await file(context))
        }
        router.delete("v1/files/:id") { _, context in
            let id = try context.parameters.require("id")
            switch try await gate({ try await storage.files.delete(id) }) {
            case .deleted: return CallRouter.json(ListAnswer.deleted(id, object: "file"))
            case .absent: throw Self.unknown(id)
            case .isInput:
                throw APIError(
                    status: 409, "A batch still reads the file `\(id)`. Cancel the batch, or wait for its end.",
                    code: "file_in_use")
            }
        }
        router.get("v1/files/:id/content") { _, context in
            let file = try await file(context)
            let content = try await gate { try await storage.files.content(of: file) }
            return Response(
                status: .ok,
                // What clients have sent is never shown as a page of this server.
                headers: [
                    .contentType: "application/octet-stream", .contentDisposition: "attachment",
                    .xContentTypeOptions: "nosniff",
                ],
                body: ResponseBody(contentLength: file.bytes) { writer in
                    var offset = 0
                    while offset < file.bytes {
                        let (start, count) = (offset, min(Self.chunkBytes, file.bytes - offset))
                        let bytes = try await onFileThread { try content.read(at: start, count: count) }
                        guard !bytes.isEmpty else {
                            throw StorageError(.unusable, "The content of \(file.id) is shorter than it was.")
                        }
                        offset += bytes.count
                        try await writer.write(ByteBuffer(bytes: bytes))
                    }
                    try await writer.finish(nil)
                })
        }
    }

    /// A form is what a page of any origin may send without asking. One that does so is refused, unless it carries a key:
    /// then the browser has asked.
    private func refuseOtherOrigins(_ request: Request) throws(APIError) {
        guard let origin = request.headers[.origin], request.headers[.authorization] == nil else { return }
        guard origins.allowsUnasked(from: origin, to: request.head.authority) else {
            throw APIError(
                status: 403,
                "Pages of \(origin.prefix(256)) may not upload files without an Authorization header; --cors-origin "
                    + "names those that may.",
                type: "permission_error", code: "forbidden")
        }
    }

    private func upload(_ request: Request) async throws -> Response {
        let limit = storage.limits.maxFileBytes
        let id = "file-" + RequestMiddleware.newID()
        let form = try await FileForm(request) { () throws(StorageError) in
            // The form's own lines take a little more than the file.
            if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit + (64 << 10) {
                throw StorageError(.fileTooLarge, "A file may have at most \(limit) bytes.")
            }
            return try storage.files.begin(id)
        }
        let now = Int(ProcessFigures.now)
        let lifetime = [form.lifetime, storage.limits.retention].compactMap(\.self).min()
        let file = StoredFile(
            id: id, purpose: form.purpose.rawValue, filename: form.filename, bytes: form.upload.count, created: now,
            expires: lifetime.map { now + $0 })
        try await storage.files.add(form.upload, as: file)
        return Self.answer(file)
    }

    private func file(_ context: MartinetContext) async throws -> StoredFile {
        let id = try context.parameters.require("id")
        guard let file = try await gate({ try await storage.files.file(id) }) else { throw Self.unknown(id) }
        return file
    }

    private static func unknown(_ id: String) -> APIError {
        APIError(status: 404, "There is no file `\(id.prefix(128))`.", parameter: "id", code: "not_found")
    }

    private static func answer(_ file: StoredFile) -> Response {
        var writer = JSONWriter()
        FileObject(file).write(to: &writer)
        return CallRouter.json(writer.bytes)
    }
}

extension FileObject {
    init(_ file: StoredFile) {
        self.init(
            id: file.id, purpose: file.purpose, filename: file.filename, bytes: file.bytes, created: file.created,
            expires: file.expires)
    }
}
