extension Architecture {
    /// Qwen 2 and 2.5: Llama's decoder with biases on queries, keys and values.
    package static let qwen2 = Architecture(name: "qwen2", huggingFaceClasses: ["Qwen2ForCausalLM"]) { _ in
        var style = DecoderStyle()
        style.attentionBias = true
        return style
    }
}
