public import MartinetEngine
public import MartinetJSON

/// Encodes answers of the Open Inference Protocol's REST form.
public struct OpenInferenceAnswer: Sendable {
    private let name: String

    /// An encoder for the answers of a model, under the name by which it was asked.
    public init(name: String) {
        self.name = name
    }

    /// `{"error"}`.
    public static func error(_ error: APIError) -> [UInt8] { object { $0.field("error", error.message) } }

    /// What the server is.
    public static func server(version: String) -> [UInt8] {
        object { writer in
            writer.field("name", "martinet")
            writer.field("version", version)
            writer.field("extensions") { $0.array { $0.value("generate") } }
        }
    }

    /// Whether the server is alive, or ready.
    public static func health(_ field: String, _ isWell: Bool) -> [UInt8] {
        object { $0.field(field, isWell) }
    }

    /// Whether the model is ready.
    public func readiness(_ isReady: Bool) -> [UInt8] {
        Self.object { writer in
            writer.field("name", name)
            writer.field("ready", isReady)
        }
    }

    /// What the model takes and gives.
    public func metadata() -> [UInt8] {
        Self.object { writer in
            writer.field("name", name)
            writer.field("versions") { $0.array { $0.value(OpenInferenceRequest.version) } }
            writer.field("platform", "martinet")
            for (field, names) in [
                ("inputs", [OpenInferenceRequest.input]), ("outputs", OpenInferenceRequest.outputNames),
            ] {
                writer.field(field) { writer in
                    writer.array { writer in
                        for name in names {
                            writer.object { writer in
                                writer.field("name", name)
                                writer.field("datatype", OpenInferenceRequest.datatype)
                                writer.field("shape", [-1] as [Int32])
                            }
                        }
                    }
                }
            }
        }
    }

    /// The answer of `infer`.
    public func body(_ request: OpenInferenceRequest, _ results: [InferenceResult]) -> [UInt8] {
        Self.object { writer in
            writer.field("model_name", name)
            writer.field("model_version", OpenInferenceRequest.version)
            if let id = request.id { writer.field("id", id) }
            writer.field("outputs") { writer in
                writer.array { writer in
                    for output in request.outputs {
                        writer.object { writer in
                            writer.field("name", output)
                            writer.field("datatype", OpenInferenceRequest.datatype)
                            writer.field("shape") { writer in
                                writer.array { writer in for size in request.shape { writer.value(size) } }
                            }
                            writer.field("data") { writer in
                                writer.array { writer in
                                    for text in request.elements(of: output, results) { writer.value(text) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The answer of `generate`.
    public func body(_ result: InferenceResult) -> [UInt8] {
        let output = result.outputs.first
        return Self.object { writer in
            writer.field("model_name", name)
            writer.field("model_version", OpenInferenceRequest.version)
            writer.field("text_output", output?.text ?? "")
            writer.field("finish_reason", output?.finishReason.rawValue ?? "")
        }
    }

    private static func object(_ fields: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(fields)
        return writer.bytes
    }
}

extension OpenInferenceAnswer: StreamEncoding {
    /// One event for each piece of text; the last has `done` and the reason.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        switch event {
        case .prompt: return
        case .output(let delta):
            guard !delta.text.isEmpty else { return }
            write(delta.text, finish: nil, into: &writer)
        case .finished(_, let reason, _): write("", finish: reason, into: &writer)
        }
    }

    private func write(_ text: String, finish: FinishReason?, into writer: inout JSONWriter) {
        ServerSentEvents.write(to: &writer) { writer in
            writer.object { writer in
                writer.field("model_name", name)
                writer.field("model_version", OpenInferenceRequest.version)
                writer.field("text_output", text)
                writer.field("done", finish != nil)
                if let finish { writer.field("finish_reason", finish.rawValue) }
            }
        }
    }

    /// Nothing: the last event said that it is the last.
    public mutating func finish(_ usage: Usage, into writer: inout JSONWriter) {}

    /// `{"error"}`.
    public mutating func fail(_ error: APIError, into writer: inout JSONWriter) {
        ServerSentEvents.write(to: &writer) { $0.raw(Self.error(error)) }
    }

    /// Nothing: the protocol has no mark for the end.
    public static var terminator: [UInt8] { [] }
}
