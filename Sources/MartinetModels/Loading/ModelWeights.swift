package import MartinetTensors

/// A model's tensors by GGUF's names, checked against its shape.
package struct ModelWeights: Sendable {
    /// The tensors.
    package let tensors: [String: TensorView]
    /// Elements in all of them.
    package let parameterCount: Int
    /// Bytes of all of them as the file stores them.
    package let byteCount: Int
    /// The element type that holds most of the parameters.
    package let dominantType: ElementType

    /// Takes the tensors that a style lists.
    ///
    /// - Parameters:
    ///   - source: the tensor of a GGUF name.
    ///   - spelling: how the file spells that name, for messages.
    /// - Throws: ``ModelError`` that names the tensor that is missing or has another shape.
    package init(
        _ specifications: [WeightSpecification], file: String, spelling: (String) -> String = { $0 },
        source: (String) throws -> TensorView?
    ) throws {
        var tensors: [String: TensorView] = [:]
        var (parameters, bytes) = (0, 0)
        var counts: [ElementType: Int] = [:]
        for specification in specifications {
            guard let tensor = try source(specification.name) else {
                throw ModelError(
                    .invalidModel,
                    "\(file): the tensor \"\(spelling(specification.name))\" is missing; the model is not whole")
            }
            // A vector may be stored as a matrix of one row.
            let shape = specification.shape.count == 1 && tensor.rows == 1 ? [tensor.columns] : tensor.shape
            guard shape == specification.shape else {
                throw ModelError(
                    .invalidModel,
                    "\(file): the tensor \"\(spelling(specification.name))\" has the shape \(tensor.shape); the "
                        + "configuration makes it \(specification.shape)")
            }
            let elements = tensor.rows * tensor.columns
            tensors[specification.name] = tensor
            // Tensors lie in a mapped file, so the sums cannot overflow.
            parameters += elements
            bytes += tensor.byteCount
            counts[tensor.type, default: 0] += elements
        }
        self.tensors = tensors
        parameterCount = parameters
        byteCount = bytes
        dominantType = counts.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key ?? .float32
    }
}

/// How Hugging Face files spell GGUF's tensor names.
package struct HuggingFaceNames: Sendable {
    private static let usual = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    ]

    private let parts: [String: String]

    /// The usual names, but for those that an architecture calls otherwise.
    package init(_ others: [String: String] = [:]) {
        parts = Self.usual.merging(others) { $1 }
    }

    /// `blk.3.attn_q.weight` becomes `model.layers.3.self_attn.q_proj.weight`.
    package func spelling(of name: String) -> String {
        switch name {
        case "token_embd.weight": return "model.embed_tokens.weight"
        case "output_norm.weight": return "model.norm.weight"
        case "output.weight": return "lm_head.weight"
        default: break
        }
        let pieces = name.split(separator: ".")
        guard pieces.count == 4, let part = parts[String(pieces[2])] else { return name }
        return "model.layers.\(pieces[1]).\(part).\(pieces[3])"
    }
}
