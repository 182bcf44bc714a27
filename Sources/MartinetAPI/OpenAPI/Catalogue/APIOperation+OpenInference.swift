extension APIOperation {
    /// The Open Inference Protocol's REST form.
    static let openInference: [APIOperation] = [
        APIOperation(
            method: "get", path: "/v2", tag: "Open Inference", summary: "What the server is.",
            answers: [#"{"name": "martinet", "version": "0.1.0", "extensions": ["generate"]}"#]),
        APIOperation(
            method: "get", path: "/v2/health/live", tag: "Open Inference", summary: "Whether the process lives.",
            answers: [#"{"live": true}"#], alike: [503]),
        APIOperation(
            method: "get", path: "/v2/health/ready", tag: "Open Inference", summary: "Whether it takes requests.",
            answers: [#"{"ready": true}"#], alike: [503]),
        APIOperation(
            method: "get", path: "/v2/models/{model}", tag: "Open Inference",
            summary: "What a model takes and gives.", parameters: [model],
            answers: [
                #"""
                {"name": "model", "versions": ["1"], "platform": "martinet",
                "inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}],
                "outputs": [{"name": "text_output", "datatype": "BYTES", "shape": [-1]}]}
                """#
            ], failures: [404]),
        APIOperation(
            method: "get", path: "/v2/models/{model}/ready", tag: "Open Inference",
            summary: "Whether a model takes requests.", parameters: [model],
            answers: [#"{"name": "model", "ready": true}"#], alike: [503], failures: [404]),
        APIOperation(
            path: "/v2/models/{model}/infer", tag: "Open Inference", summary: "Continues the texts of a tensor.",
            parameters: [model],
            examples: [
                #"""
                {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["Once"]}], "id": "1f0c",
                "outputs": [{"name": "text_output"}], "parameters": {"max_tokens": 8}}
                """#
            ], decode: { body, model throws(APIError) in _ = try OpenInferenceRequest(body, model: model) },
            answers: [
                #"""
                {"model_name": "model", "model_version": "1", "id": "1f0c", "outputs": [{"name": "text_output",
                "datatype": "BYTES", "shape": [1], "data": [" upon a time"]}]}
                """#, #"{"model_name": "model", "model_version": "1", "outputs": []}"#,
            ]),
        APIOperation(
            path: "/v2/models/{model}/generate", tag: "Open Inference", summary: "Continues a text.",
            parameters: [model], examples: texts,
            decode: { body, model throws(APIError) in
                _ = try OpenInferenceText(body, stream: false, model: model)
            },
            answers: [
                #"""
                {"model_name": "model", "model_version": "1", "text_output": " upon a time", "finish_reason": "length"}
                """#
            ]),
        APIOperation(
            path: "/v2/models/{model}/generate_stream", tag: "Open Inference",
            summary: "Continues a text, by server-sent events.", parameters: [model], examples: texts,
            decode: { body, model throws(APIError) in
                _ = try OpenInferenceText(body, stream: true, model: model)
            }, answerType: "text/event-stream"),
    ]

    private static let model = Parameter(name: "model", description: "The model's name.", example: "model")
    private static let texts = [
        #"{"text_input": "Once", "parameters": {"temperature": 0}, "max_tokens": 8}"#
    ]
}
