import MartinetTensors

/// Which type each tensor of a model gets: the rules of llama.cpp's `llama-quantize`, without an importance matrix.
struct QuantizationRules {
    private let options: QuantizationOptions
    private let hasOutput: Bool
    private let layers: Int

    init(_ options: QuantizationOptions, tensors: [String]) {
        self.options = options
        hasOutput = tensors.contains("output.weight")
        layers = (tensors.compactMap(Self.layer).max() ?? -1) + 1
    }

    /// The type that a tensor is to have.
    ///
    /// - Returns: the type, and the one that the rules want where rows do not divide into its blocks.
    func type(of name: String, _ view: TensorView) -> (type: ElementType, wanted: ElementType?) {
        // Vectors decide much and weigh little.
        guard view.rows > 1 else { return (.float32, nil) }
        guard Self.isWeight(name) else { return (view.type, nil) }
        let wanted = self.wanted(name)
        var type = wanted
        while view.columns % type.elementsPerBlock != 0 { type = Self.fallback(of: type) }
        return (type, type == wanted ? nil : wanted)
    }

    private func wanted(_ name: String) -> ElementType {
        if name == "token_embd.weight", let type = options.embeddingType { return type.elementType }
        let type = options.type.elementType
        if name == "output.weight" || (name == "token_embd.weight" && !hasOutput) {
            if let type = options.outputType { return type.elementType }
            return type.elementsPerBlock == 1 || type == .q8_0 ? type : .q6_K
        }
        guard options.type.isMixture, let layer = Self.layer(name) else { return type }
        if name.hasSuffix(".attn_qkv.weight") { return type == .q4_K ? .q5_K : .q6_K }
        let isSensitive = name.hasSuffix(".attn_v.weight") || name.hasSuffix(".ffn_down.weight")
        return isSensitive && takesMoreBits(layer) ? .q6_K : type
    }

    /// The first and last eighth of the layers, and every third between.
    private func takesMoreBits(_ layer: Int) -> Bool {
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
    }

    /// The type to take instead where a row is not a whole number of blocks: of nearest size in blocks of 32, then none.
    private static func fallback(of type: ElementType) -> ElementType {
        switch type {
        case .q4_K: .q5_0
        case .q5_K: .q5_1
        case .q6_K: .q8_0
        default: .float16
        }
    }

    /// Whether a matrix is one that products are made with; others keep their type.
    private static func isWeight(_ name: String) -> Bool {
        let small = [
            "_norm.weight", "ffn_gate_inp.weight", "position_embd.weight", "token_types.weight", "ssm_conv1d.weight",
        ]
        return name.hasSuffix(".weight") && !small.contains { name.hasSuffix($0) }
    }

    /// The layer of `blk.LAYER.…`.
    private static func layer(_ name: String) -> Int? {
        guard name.hasPrefix("blk.") else { return nil }
        return Int(name.dropFirst(4).prefix { $0 != "." }).flatMap { (0..<1 << 20).contains($0) ? $0 : nil }
    }
}
