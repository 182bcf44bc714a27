internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetStorage

/// OpenAI's `/v1/batches`.
struct BatchRoutes: RouteGroup {
    let calls: CallRouter
    let queue: BatchQueue
    let gate: StorageGate

    let methods: [String: [HTTPRequest.Method]] = [
        "/v1/batches": [.get, .head, .post], "/v1/batches/{id}": [.get, .head], "/v1/batches/{id}/cancel": [.post],
    ]

    func add(to router: Router<MartinetContext>) {
        router.post("v1/batches") { request, _ in
            let bytes = try await calls.body(of: request)
            return try await create(
                BatchRequest(
                    JSONBody(Array(bytes.readableBytesView), isStrict: calls.isStrict)))
        }
        router.get("v1/batches") { request, _ in
            let parameters = request.uri.queryParameters
            let query = try ListQuery(limit: 20, maximum: 100) { parameters[Substring($0)].map(String.init) }
            let page = try await gate { try await queue.storage.batches.list(after: query.after, limit: query.limit) }
            guard let page else { throw APIError.invalid("after", "`after` must be the id of a batch.") }
            let entries = page.elements.compactMap { Batch($0) }.map { (id: $0.id, json: $0.body) }
            return CallRouter.json(ListAnswer.body(entries, hasMore: page.hasMore))
        }
        router.get("v1/batches/:id") { _, context in
            let id = try context.parameters.require("id")
            guard let batch = try await gate({ try await queue.batch(id) }) else { throw Self.unknown(id) }
            return CallRouter.json(batch.body)
        }
        router.post("v1/batches/:id/cancel") { request, context in
            // A body is not needed, and one that a page of another origin may send without asking is not taken.
            _ = try await calls.body(of: request)
            let id = try context.parameters.require("id")
            guard let (batch, isChanged) = try await gate({ try await queue.cancel(id) }) else {
                throw Self.unknown(id)
            }
            guard isChanged || batch.status == .cancelling else {
                throw APIError(
                    status: 409, "A batch with status `\(batch.status.rawValue)` cannot be cancelled.",
                    code: "batch_not_cancellable")
            }
            return CallRouter.json(batch.body)
        }
    }

    private func create(_ request: BatchRequest) async throws -> Response {
        let file = try await gate { try await queue.storage.files.file(request.inputFile) }
        guard let file else {
            throw APIError.invalid("input_file_id", "There is no file `\(request.inputFile)`.", code: "not_found")
        }
        guard file.purpose == FilePurpose.batch.rawValue else {
            throw APIError.invalid(
                "input_file_id", "The file's purpose must be `batch`, but is `\(file.purpose)`.")
        }
        guard let batch = try await gate({ try await queue.submit(request) }) else {
            throw APIError(
                status: 429, "\(BatchQueue.maximumOpen) batches are under way; wait for one to end.",
                type: "rate_limit_error", code: "too_many_batches", retryAfter: 60)
        }
        return CallRouter.json(batch.body)
    }

    private static func unknown(_ id: String) -> APIError {
        APIError(status: 404, "There is no batch `\(id.prefix(128))`.", parameter: "batch_id", code: "not_found")
    }
}
