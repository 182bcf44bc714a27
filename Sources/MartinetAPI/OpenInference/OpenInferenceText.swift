public import MartinetEngine
internal import MartinetJSON

/// A request of `/v2/models/…/generate` and `…/generate_stream`: `text_input`, and parameters beside it or in
/// `parameters`.
public struct OpenInferenceText: Sendable {
    private var generation: GenerateRequest

    /// Decodes a request.
    public init(_ body: JSONBody, stream: Bool, model: ServedModel) throws(APIError) {
        var reader = try body.reader()
        guard let text = try reader.string(OpenInferenceRequest.input) else {
            throw .invalid(
                OpenInferenceRequest.input, "`text_input` is required: a string.", code: "missing_required_parameter")
        }
        guard !text.isEmpty else { throw .invalid(OpenInferenceRequest.input, "`text_input` must not be empty.") }
        // What stands in `parameters` counts before what stands beside it.
        var members = try OpenInferenceRequest.parameters(reader.take("parameters"))
        for name in reader.untaken where name != "id" {
            guard !members.contains(where: { $0.key == name }), let value = reader.take(name) else { continue }
            members.append((key: name, value: value))
        }
        members.removeAll { ["stream", "prompt", "model", "exclude_input_in_output"].contains($0.key) }
        members.append((key: "prompt", value: .string(text)))
        members.append((key: "stream", value: .bool(stream)))
        generation = try GenerateRequest.single(JSONBody(members: members), model: model)
        guard generation.fields.sampleCount == 1 else {
            throw .unsupported("n", "`n` must be 1: an answer has one text.")
        }
    }

    /// The engine's request.
    public func requests(id: String, model: ServedModel) throws(APIError) -> [InferenceRequest] {
        try generation.requests(id: id, model: model)
    }
}
