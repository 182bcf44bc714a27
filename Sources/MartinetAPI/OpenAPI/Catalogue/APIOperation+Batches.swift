extension APIOperation {
    /// OpenAI's files, which need storage.
    static let files: [APIOperation] = [
        APIOperation(
            path: "/v1/files", tag: "Files", summary: "Keeps a file.",
            otherBody: OtherBody(
                type: "multipart/form-data",
                schema: #"""
                    {"type": "object", "required": ["file", "purpose"], "properties": {
                    "file": {"type": "string", "format": "binary", "description": "The content."},
                    "purpose": {"type": "string", "enum": [\#(purposes)], "description": "What it is for."},
                    "expires_after[anchor]": {"type": "string", "enum": ["created_at"],
                    "description": "What its life is counted from."},
                    "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000,
                    "description": "How long it is kept."}}}
                    """#, example: #"{"file": "{}", "purpose": "batch"}"#),
            answers: [file], failures: [403, 500, 503, 507]),
        APIOperation(
            method: "get", path: "/v1/files", tag: "Files", summary: "The files that are kept.",
            parameters: page(most: 10_000) + [
                Parameter(name: "purpose", place: "query", description: "Only files for this.", example: "batch")
            ], answers: [list(file, "file-1f0c"), emptyList], failures: stored + [400]),
        APIOperation(
            method: "get", path: "/v1/files/{id}", tag: "Files", summary: "One of them.", parameters: [fileID],
            answers: [file], failures: stored + [404]),
        APIOperation(
            method: "delete", path: "/v1/files/{id}", tag: "Files", summary: "Removes a file.", parameters: [fileID],
            answers: [#"{"id": "file-1f0c", "object": "file", "deleted": true}"#], failures: stored + [404, 409]),
        APIOperation(
            method: "get", path: "/v1/files/{id}/content", tag: "Files", summary: "A file's content.",
            parameters: [fileID], answerType: "application/octet-stream", failures: stored + [404]),
    ]

    /// OpenAI's batches, which need storage.
    static let batches: [APIOperation] = [
        APIOperation(
            path: "/v1/batches", tag: "Batches", summary: "Begins to answer a file of requests.",
            examples: [
                #"""
                {"input_file_id": "file-1f0c", "endpoint": "/v1/chat/completions", "completion_window": "24h",
                "metadata": {"purpose": "example"}}
                """#
            ], decode: { body, _ throws(APIError) in _ = try BatchRequest(body) }, answers: shapes, failures: stored),
        APIOperation(
            method: "get", path: "/v1/batches", tag: "Batches", summary: "The batches that are kept.",
            parameters: page(most: 100), answers: shapes.map { list($0, "batch_1f0c") } + [emptyList],
            failures: stored + [400]),
        APIOperation(
            method: "get", path: "/v1/batches/{id}", tag: "Batches", summary: "One of them.", parameters: [batchID],
            answers: shapes, failures: stored + [404]),
        APIOperation(
            path: "/v1/batches/{id}/cancel", tag: "Batches", summary: "Ends a batch early.", parameters: [batchID],
            otherBody: nothing, answers: shapes, failures: stored + [404, 409]),
    ]

    /// Statuses of routes that read or write what is kept.
    private static let stored = [500, 503, 507]

    private static let fileID = Parameter(name: "id", description: "The file's name.", example: "file-1f0c")
    private static let batchID = Parameter(name: "id", description: "The batch's name.", example: "batch_1f0c")

    /// The parameters of a list.
    static func page(most: Int) -> [Parameter] {
        [
            Parameter(
                name: "limit", place: "query", description: "Most entries.",
                schema: #"{"type": "integer", "minimum": 1, "maximum": \#(most)}"#, example: "20"),
            Parameter(
                name: "order", place: "query", description: "The oldest first, or the newest.",
                schema: #"{"type": "string", "enum": ["asc", "desc"]}"#, example: "desc"),
            Parameter(name: "after", place: "query", description: "The entry before the first.", example: ""),
        ]
    }

    private static let purposes = FilePurpose.allCases.filter(\.isUploadable).map { #""\#($0.rawValue)""# }
        .joined(separator: ", ")

    /// A list without entries.
    static let emptyList = #"{"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false}"#

    private static func list(_ entry: String, _ id: String) -> String {
        #"{"object": "list", "data": [\#(entry)], "first_id": "\#(id)", "last_id": "\#(id)", "has_more": true}"#
    }

    private static let file = #"""
        {"id": "file-1f0c", "object": "file", "bytes": 95, "created_at": 1790000000, "expires_at": 1792592000,
        "filename": "requests.jsonl", "purpose": "batch", "status": "processed"}
        """#

    /// A batch with everything that may be null, and one without.
    private static let shapes = [
        batch(
            "completed", time: "1790000060", file: #""file-1f0d""#,
            errors: #"""
                {"object": "list", "data": [{"code": "invalid_json_line", "message": "It is no JSON.", "param": "url",
                "line": 3}, {"code": "empty_file", "message": "It is empty.", "param": null, "line": null}]}
                """#),
        batch("validating", time: "null", file: "null", errors: "null"),
    ]

    private static func batch(_ status: String, time: String, file: String, errors: String) -> String {
        #"""
        {"id": "batch_1f0c", "object": "batch", "endpoint": "/v1/chat/completions", "errors": \#(errors),
        "input_file_id": "file-1f0c", "completion_window": "24h", "status": "\#(status)", "output_file_id": \#(file),
        "error_file_id": \#(file), "created_at": 1790000000, "in_progress_at": \#(time), "expires_at": 1790086400,
        "finalizing_at": \#(time), "completed_at": \#(time), "failed_at": \#(time), "expired_at": \#(time),
        "cancelling_at": \#(time), "cancelled_at": \#(time), "request_counts": {"total": 2, "completed": 2,
        "failed": 0}, "metadata": {}}
        """#
    }
}
