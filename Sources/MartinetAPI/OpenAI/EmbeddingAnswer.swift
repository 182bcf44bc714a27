internal import FoundationEssentials
public import MartinetEngine
internal import MartinetJSON

/// Encodes answers of `/v1/embeddings`.
public struct EmbeddingAnswer: Sendable {
    private let request: EmbeddingRequest
    private let model: ServedModel

    /// An encoder for the answer to one request.
    public init(request: EmbeddingRequest, model: ServedModel) {
        self.request = request
        self.model = model
    }

    /// The whole answer; vectors stand in the order of the texts.
    ///
    /// - Throws: ``APIError`` where there are fewer dimensions than were asked for, or an embedding did not come.
    public func body(_ results: [InferenceResult]) throws(APIError) -> [UInt8] {
        let vectors = try vectors(results)
        let tokens = results.reduce(0) { $0 + $1.prompt.tokenCount }
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("object", "list")
            writer.field("data") { writer in
                writer.array { writer in
                    for (index, vector) in vectors.enumerated() {
                        writer.object { writer in
                            writer.field("object", "embedding")
                            writer.field("index", index)
                            write(vector, to: &writer)
                        }
                    }
                }
            }
            writer.field("model", model.name)
            writer.field("usage") { writer in
                writer.object { writer in
                    writer.field("prompt_tokens", tokens)
                    writer.field("total_tokens", tokens)
                }
            }
        }
        return writer.bytes
    }

    /// The vectors, in the order of the texts.
    ///
    /// - Throws: ``APIError`` as ``body(_:)`` does.
    package func vectors(_ results: [InferenceResult]) throws(APIError) -> [[Float]] {
        var vectors: [[Float]] = []
        for result in results {
            guard let embedding = result.prompt.embedding else {
                throw APIError(
                    status: 503, "The server shut down before all embeddings were computed.",
                    type: "service_unavailable_error", code: "unavailable")
            }
            vectors.append(try vector(embedding))
        }
        return vectors
    }

    private func vector(_ embedding: Embedding) throws(APIError) -> [Float] {
        let count = embedding.values.count
        guard request.dimensions ?? count <= count else {
            throw .invalid(
                "dimensions",
                "`dimensions` must be at most \(count), which this model's embeddings have, got "
                    + "\(request.dimensions ?? count).", code: "out_of_range")
        }
        if request.normalizes { return embedding.normalized(dimensions: request.dimensions).values }
        return Array(embedding.values.prefix(request.dimensions ?? count))
    }

    private func write(_ vector: [Float], to writer: inout JSONWriter) {
        switch request.encoding {
        case .base64:
            var bytes = Data(capacity: vector.count * 4)
            for value in vector { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
            writer.field("embedding", bytes.base64EncodedString())
        case .float:
            writer.field("embedding") { writer in
                writer.array { writer in
                    for value in vector { writer.value(value) }
                }
            }
        }
    }
}
