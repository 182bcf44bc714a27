package import MartinetTensors

/// A decoder-only transformer on a backend: the runner of every architecture that ``DecoderStyle`` can describe.
package final class Decoder<B: Backend>: ModelRunner {
    package let configuration: ModelConfiguration
    package let limits: RunnerLimits
    package var memory: RunnerMemory { backend.memory }

    private struct Layer {
        var attentionNorm: B.Vector
        var queryKeyValue: [Projection<B>]
        var queryNorm: B.Vector?
        var keyNorm: B.Vector?
        var attention: AttentionStep<B>
        var attentionOutput: [Projection<B>]
        var postAttentionNorm: B.Vector?
        var feedForwardNorm: B.Vector
        var gateUp: [Projection<B>]
        var down: [Projection<B>]
        var postFeedForwardNorm: B.Vector?
    }

    private let backend: B
    private let style: DecoderStyle
    private let embedding: B.Matrix
    private let layers: [Layer]
    private let outputNorm: B.Vector
    private let output: [Projection<B>]
    // Activations, by what they hold while a layer runs.
    private let residual, normed, queries, keys, attended, gate, up, selected, logits: B.Activation

    /// Builds a model on a backend.
    ///
    /// - Parameter weights: every tensor that ``DecoderStyle/weights(of:)`` lists, in its shape.
    package init(
        configuration: ModelConfiguration, style: DecoderStyle, weights: [String: TensorView], limits: RunnerLimits,
        backend: B
    ) throws(ModelError) {
        self.configuration = configuration
        self.limits = limits
        self.backend = backend
        self.style = style

        func tensor(_ name: String) throws(ModelError) -> TensorView {
            guard let tensor = weights[name] else {
                throw ModelError(.invalidModel, "the model has no tensor \"\(name)\"; the file is not whole")
            }
            return tensor
        }
        let hidden = configuration.hiddenSize
        let queryWidth = configuration.headCount * configuration.headSize
        let keyWidth = configuration.keyValueHeadCount * configuration.headSize
        residual = try backend.activation(width: hidden, rows: .tokens)
        normed = try backend.activation(width: hidden, rows: .tokens)
        // Attention has been added to the residual when the feed-forward half begins.
        let shared = try backend.activations(sharing: [
            [queryWidth, keyWidth, keyWidth, queryWidth],
            [configuration.intermediateSize, configuration.intermediateSize],
        ])
        queries = shared[0][0]
        keys = shared[0][1]
        let values = shared[0][2]
        attended = shared[0][3]
        gate = shared[1][0]
        up = shared[1][1]
        selected = try backend.activation(width: hidden, rows: .logits)
        logits = try backend.logits(width: configuration.vocabularySize)

        outputNorm = try backend.vector(try tensor("output_norm.weight"))
        let outputName = configuration.tiedEmbeddings ? "token_embd.weight" : "output.weight"
        let outputWeight = try backend.matrix(try tensor(outputName))
        embedding =
            configuration.tiedEmbeddings ? outputWeight : try backend.table(try tensor("token_embd.weight"))
        output = [Projection(weight: outputWeight, bias: nil, accumulate: false, output: logits)]

        var layers: [Layer] = []
        for index in 0..<configuration.layerCount {
            func projection(_ name: String, bias: Bool = false, into output: B.Activation, accumulate: Bool = false)
                throws(ModelError) -> Projection<B>
            {
                Projection(
                    weight: try backend.matrix(try tensor("blk.\(index).\(name).weight")),
                    bias: bias ? try backend.vector(try tensor("blk.\(index).\(name).bias")) : nil,
                    accumulate: accumulate, output: output)
            }
            func norm(_ name: String) throws(ModelError) -> B.Vector {
                try backend.vector(try tensor("blk.\(index).\(name).weight"))
            }
            let windowed = configuration.isWindowed(layer: index)
            // Where a norm stands between a projection and the residual, the projection cannot add to it itself.
            let branch = style.postNorms ? normed : residual
            layers.append(
                Layer(
                    attentionNorm: try norm("attn_norm"),
                    queryKeyValue: [
                        try projection("attn_q", bias: style.attentionBias, into: queries),
                        try projection("attn_k", bias: style.attentionBias, into: keys),
                        try projection("attn_v", bias: style.attentionBias, into: values),
                    ],
                    queryNorm: style.queryKeyNorm ? try norm("attn_q_norm") : nil,
                    keyNorm: style.queryKeyNorm ? try norm("attn_k_norm") : nil,
                    attention: AttentionStep(
                        layer: index, queries: queries, keys: keys, values: values, output: attended,
                        rope: windowed && configuration.windowedRope != nil ? 1 : 0,
                        scale: configuration.attentionScale ?? 1 / Float(configuration.headSize).squareRoot(),
                        window: windowed ? configuration.slidingWindow : nil),
                    attentionOutput: [
                        try projection(
                            "attn_output", bias: style.outputBias, into: branch, accumulate: !style.postNorms)
                    ],
                    postAttentionNorm: style.postNorms ? try norm("post_attention_norm") : nil,
                    feedForwardNorm: try norm("ffn_norm"),
                    gateUp: [try projection("ffn_gate", into: gate), try projection("ffn_up", into: up)],
                    down: [try projection("ffn_down", into: branch, accumulate: !style.postNorms)],
                    postFeedForwardNorm: style.postNorms ? try norm("post_ffw_norm") : nil))
        }
        self.layers = layers
    }

    package func forward(_ batch: ForwardBatch) throws(ModelError) -> UnsafeMutableBufferPointer<Float> {
        try batch.validate(limits: limits, vocabularySize: configuration.vocabularySize)
        try backend.begin(batch)
        guard !batch.tokens.isEmpty else { return backend.rows(of: logits) }
        backend.embed(embedding, scale: style.embeddingScale, into: residual)
        for layer in layers { run(layer) }
        if !batch.logitTokens.isEmpty {
            backend.selectLogitRows(residual, into: selected)
            backend.project(selected, normalized(selected, outputNorm), output)
        }
        // After the last layer nothing else needs this memory.
        if batch.wantsHiddenStates { normalize(residual, outputNorm, into: normed) }
        return backend.rows(of: logits)
    }

    package var hiddenStates: UnsafeBufferPointer<Float> { UnsafeBufferPointer(backend.rows(of: normed)) }

    private func run(_ layer: Layer) {
        backend.project(normed, normalized(residual, layer.attentionNorm), layer.queryKeyValue)
        if let norm = layer.queryNorm { normalize(queries, norm, groups: configuration.headCount, into: queries) }
        if let norm = layer.keyNorm { normalize(keys, norm, groups: configuration.keyValueHeadCount, into: keys) }
        backend.attend(layer.attention)
        backend.project(attended, .none, layer.attentionOutput)
        if let norm = layer.postAttentionNorm { addNormalized(norm) }
        backend.project(normed, normalized(residual, layer.feedForwardNorm), layer.gateUp)
        backend.project(gate, .gated(up: up, style.gate), layer.down)
        if let norm = layer.postFeedForwardNorm { addNormalized(norm) }
    }

    private func normalized(_ source: B.Activation, _ weight: B.Vector) -> Preparation<B> {
        .normalized(source, weight: weight, epsilon: configuration.normEpsilon)
    }

    private func normalize(
        _ input: B.Activation, _ weight: B.Vector, groups: Int = 1, into output: B.Activation
    ) {
        backend.normalize(input, weight: weight, epsilon: configuration.normEpsilon, groups: groups, into: output)
    }

    private func addNormalized(_ weight: B.Vector) {
        normalize(normed, weight, into: normed)
        backend.add(normed, into: residual)
    }
}
