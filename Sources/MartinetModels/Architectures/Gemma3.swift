extension Architecture {
    /// Gemma 3's text model: norms around both halves of a layer, norms of each query and key head, a feed-forward layer
    /// gated by GELU, embeddings times the root of their width, and a sliding window in all layers but every sixth, with
    /// a rotation of its own.
    ///
    /// Source: Gemma Team, *Gemma 3 Technical Report*, 2025, and `Gemma3ForCausalLM` of transformers. The embedding's
    /// factor is that of float32 arithmetic; a model run in bfloat16 rounds it (25.25 for 25.298).
    package static let gemma3 = Architecture(
        name: "gemma3", huggingFaceClasses: ["Gemma3ForCausalLM"], huggingFaceTensors: tensorNames,
        huggingFaceNormOffset: 1, huggingFaceActivations: ["gelu_pytorch_tanh"], defaultTheta: 1_000_000,
        windowPeriod: 6
    ) { model in
        var style = DecoderStyle()
        style.gate = .gelu
        style.embeddingScale = Float(model.hiddenSize).squareRoot()
        style.attentionBias = model.attentionBias
        style.outputBias = model.attentionBias
        style.queryKeyNorm = true
        style.postNorms = true
        return style
    }

    private static let tensorNames = [
        "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
        "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    ]
}
