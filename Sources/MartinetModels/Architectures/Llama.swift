extension Architecture {
    /// Llama 2 and 3, SmolLM2, Mistral: the plain decoder. GGUF files of it hold queries and keys permuted, for pairs of
    /// neighbours; Hugging Face files for pairs half a head apart.
    package static let llama = Architecture(
        name: "llama", huggingFaceClasses: ["LlamaForCausalLM", "MistralForCausalLM"], interleavedInGGUF: true
    ) { model in
        var style = DecoderStyle()
        style.attentionBias = model.attentionBias
        style.outputBias = model.attentionBias
        return style
    }
}
