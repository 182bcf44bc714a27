/// What makes one family of models itself: its names, and how its decoder differs from the plain one.
///
/// Each architecture is one file in this folder that adds a value here; ``Decoder`` does the work, on any ``Backend``.
package struct Architecture: Sendable {
    /// GGUF's name, which is also the prefix of its metadata keys.
    package var name: String
    /// Names in the `architectures` list of `config.json`.
    package var huggingFaceClasses: [String]
    /// Whether GGUF files of it rotate pairs of neighbours; otherwise, and in Hugging Face files, pairs half a head apart.
    package var interleavedInGGUF = false
    /// How Hugging Face files spell its tensors, where that is not ``HuggingFaceNames``' way.
    package var huggingFaceTensors: [String: String] = [:]
    /// What is added to normalisation weights of Hugging Face files; those of GGUF files have it in them.
    package var huggingFaceNormOffset: Float = 0
    /// Spellings of its activation in `config.json`; the first is the default.
    package var huggingFaceActivations = ["silu", "swish"]
    /// The base of the rotation, where a file does not say.
    package var defaultTheta = 10_000.0
    /// Where layers with and without the window alternate: each such layer has none, where a file does not say.
    package var windowPeriod: Int?
    /// How its decoder differs, given a model's shape.
    package var style: @Sendable (ModelConfiguration) -> DecoderStyle

    /// All that we have.
    package static let all: [Architecture] = [.llama, .qwen2, .gemma3]

    /// The architecture of a GGUF file.
    ///
    /// - Throws: ``ModelError`` that lists the known ones.
    package static func named(_ name: String) throws(ModelError) -> Architecture {
        if let found = all.first(where: { $0.name == name }) { return found }
        let known = all.map(\.name).joined(separator: ", ")
        throw ModelError(
            .unsupportedArchitecture, "the model's architecture is \"\(name.prefix(64))\"; this version runs \(known)")
    }

    /// The architecture of a Hugging Face class, such as `LlamaForCausalLM`.
    ///
    /// - Throws: ``ModelError`` that lists the known ones.
    package static func huggingFace(classes: [String]) throws(ModelError) -> Architecture {
        if let found = all.first(where: { !Set($0.huggingFaceClasses).isDisjoint(with: classes) }) { return found }
        let known = all.flatMap(\.huggingFaceClasses).joined(separator: ", ")
        let given = classes.prefix(4).map { String($0.prefix(64)) }.joined(separator: ", ")
        throw ModelError(
            .unsupportedArchitecture,
            "config.json names the architectures [\(given)]; this version runs \(known)")
    }
}

/// How a decoder differs from the plain one: pre-normalised attention and gated feed-forward, with residuals.
package struct DecoderStyle: Sendable {
    /// The function on the gated half of the feed-forward layer.
    package var gate = GateActivation.silu
    /// Multiplies the embeddings.
    package var embeddingScale: Float = 1
    /// Biases on the query, key and value projections.
    package var attentionBias = false
    /// A bias on the attention's output projection.
    package var outputBias = false
    /// RMS normalisation of each query and key head before the rotation.
    package var queryKeyNorm = false
    /// RMS normalisation after attention and feed-forward, before each is added to the residual.
    package var postNorms = false

    /// The plain decoder.
    package init() {}
}

extension DecoderStyle {
    /// Every tensor of a model by GGUF's name, with the shape that it must have.
    package func weights(of model: ModelConfiguration) -> [WeightSpecification] {
        let queries = model.headCount * model.headSize
        let keys = model.keyValueHeadCount * model.headSize
        var list = [
            WeightSpecification("token_embd.weight", model.vocabularySize, model.hiddenSize),
            WeightSpecification("output_norm.weight", model.hiddenSize),
        ]
        if !model.tiedEmbeddings {
            list.append(WeightSpecification("output.weight", model.vocabularySize, model.hiddenSize))
        }
        for layer in 0..<model.layerCount {
            func add(_ name: String, _ shape: Int...) {
                list.append(WeightSpecification(name: "blk.\(layer).\(name)", shape: shape))
            }
            add("attn_norm.weight", model.hiddenSize)
            add("attn_q.weight", queries, model.hiddenSize)
            add("attn_k.weight", keys, model.hiddenSize)
            add("attn_v.weight", keys, model.hiddenSize)
            add("attn_output.weight", model.hiddenSize, queries)
            if attentionBias {
                add("attn_q.bias", queries)
                add("attn_k.bias", keys)
                add("attn_v.bias", keys)
            }
            if outputBias { add("attn_output.bias", model.hiddenSize) }
            if queryKeyNorm {
                add("attn_q_norm.weight", model.headSize)
                add("attn_k_norm.weight", model.headSize)
            }
            if postNorms {
                add("post_attention_norm.weight", model.hiddenSize)
                add("post_ffw_norm.weight", model.hiddenSize)
            }
            add("ffn_norm.weight", model.hiddenSize)
            add("ffn_gate.weight", model.intermediateSize, model.hiddenSize)
            add("ffn_up.weight", model.intermediateSize, model.hiddenSize)
            add("ffn_down.weight", model.hiddenSize, model.intermediateSize)
        }
        return list
    }
}

/// A tensor that a model must have.
package struct WeightSpecification: Sendable, Hashable {
    /// GGUF's name for it.
    package var name: String
    /// Its shape, outermost first.
    package var shape: [Int]

    package init(name: String, shape: [Int]) {
        self.name = name
        self.shape = shape
    }

    package init(_ name: String, _ shape: Int...) {
        self.init(name: name, shape: shape)
    }
}
