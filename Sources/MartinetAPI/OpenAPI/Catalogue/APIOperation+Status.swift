extension APIOperation {
    /// What the server says of itself.
    static let status: [APIOperation] = [
        status("/health", "Whether the engines step.", "healthy"),
        status("/ping", "The same, by its other name.", "healthy"),
        status("/livez", "Whether the process lives; a restart helps where it does not.", "alive"),
        status("/readyz", "Whether it takes requests.", "ready"),
        status("/startupz", "Whether it has started.", "started"),
        APIOperation(
            method: "get", path: "/version", tag: "Status", summary: "The server's version.",
            answers: [#"{"version": "0.1.0"}"#]),
        APIOperation(
            method: "get", path: "/load", tag: "Status", summary: "How many requests generate at this moment.",
            answers: [#"{"server_load": 3}"#]),
        APIOperation(
            method: "get", path: "/metrics", tag: "Status", summary: "Figures for Prometheus.",
            answerType: "text/plain"),
        APIOperation(
            method: "get", path: "/openapi.json", tag: "Status", summary: "This document.",
            answers: [#"{"openapi": "3.1.0", "info": {"title": "Martinet", "version": "0.1.0"}, "paths": {}}"#]),
        APIOperation(
            method: "get", path: "/docs", tag: "Status",
            summary: "A page that shows this document, and where its examples can be tried.", answerType: "text/html"),
        APIOperation(
            method: "get", path: "/v1/ws", tag: "WebSocket",
            summary: "Several generations at once on one WebSocket, each named by the client.", success: 101,
            answerType: nil, failures: [400, 403, 426]),
    ]

    /// How the workers are looked after. These routes answer to the server's own machine alone.
    static let administration: [APIOperation] = [
        APIOperation(
            method: "get", path: "/admin/workers", tag: "Administration", summary: "The workers of every model.",
            answers: [workers], failures: [403]),
        APIOperation(
            path: "/admin/workers/replace", tag: "Administration",
            summary: "Replaces the workers of a model, or all, one after the other.",
            parameters: [
                Parameter(name: "model", place: "query", description: "The model; all where absent.", example: "")
            ], otherBody: nothing, answers: [workers], failures: [403, 404, 500]),
        APIOperation(
            path: "/admin/reload", tag: "Administration", summary: "Reads the configuration file again.",
            otherBody: nothing, answers: [#"{"changes": ["model: 2 workers"]}"#], failures: [403, 500]),
    ]

    /// vLLM's routes for models that score and classify. No model here does.
    static let scores: [APIOperation] = [
        "/score", "/v1/score", "/rerank", "/v1/rerank", "/v2/rerank", "/classify", "/pooling",
    ]
    .map { path in
        APIOperation(
            path: path, tag: "Scores", summary: "Refused: no model here can do this.",
            examples: [#"{"model": "model"}"#],
            decode: { body, model throws(APIError) in
                var reader = try body.reader()
                try model.check(&reader)
            }, success: nil, failures: [501])
    }

    /// The content type says that no page of another origin sends it; what stands in it is not read.
    static let nothing = OtherBody(type: "application/json", schema: "{}", example: "{}")

    private static let workers = #"""
        {"models": [{"model": "model", "waiting": 0, "workers": [{"id": "0", "pid": 4711, "state": "ready",
        "restarts": 0, "outstanding_sequences": 1, "outstanding_tokens": 17}, {"id": "1", "pid": null,
        "state": "restarting", "restarts": 1, "outstanding_sequences": 0, "outstanding_tokens": 0}]}]}
        """#

    private static func status(_ path: String, _ summary: String, _ word: String) -> APIOperation {
        APIOperation(
            method: "get", path: path, tag: "Status", summary: summary,
            answers: [#"{"status": "\#(word)"}"#, #"{"status": "draining", "reason": "It ends."}"#], alike: [503])
    }
}
