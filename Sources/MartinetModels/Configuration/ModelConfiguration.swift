/// The shape of a decoder-only transformer, the same whether it was read from GGUF metadata or from `config.json`.
public struct ModelConfiguration: Sendable, Hashable {
    /// The architecture's name, as GGUF spells it: `llama`, `qwen2`, `gemma3`.
    public var architecture: String
    /// Rows of the embedding table.
    public var vocabularySize: Int
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Width of the feed-forward layer.
    public var intermediateSize: Int
    /// Decoder layers.
    public var layerCount: Int
    /// Query heads.
    public var headCount: Int
    /// Key and value heads; divides `headCount`.
    public var keyValueHeadCount: Int
    /// Elements per head.
    public var headSize: Int
    /// The longest sequence that the model was trained for.
    public var contextLength: Int
    /// Added to the mean square in RMS normalisation.
    public var normEpsilon: Float
    /// How positions rotate queries and keys.
    public var rope: RopeConfiguration
    /// Whether the output projection is the embedding table.
    public var tiedEmbeddings: Bool
    /// Positions that attention looks back over, where the model limits it.
    public var slidingWindow: Int?
    /// Whether query, key and value projections have biases.
    public var attentionBias: Bool
    /// By layer, whether it sees only the sliding window; `nil` where all do that have one.
    public var windowedLayers: [Bool]?
    /// The rotation of windowed layers, where it is not ``rope``; it differs in frequencies only.
    public var windowedRope: RopeConfiguration?
    /// Multiplies attention scores; `nil` for one over the root of the head size.
    public var attentionScale: Float?
    /// How hidden states become an embedding; `nil` where the model's head gives none.
    public var pooling: Pooling?

    /// Describes a model.
    public init(
        architecture: String, vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int,
        headCount: Int, keyValueHeadCount: Int, headSize: Int, contextLength: Int, normEpsilon: Float,
        rope: RopeConfiguration, tiedEmbeddings: Bool, slidingWindow: Int? = nil, attentionBias: Bool = false,
        windowedLayers: [Bool]? = nil, windowedRope: RopeConfiguration? = nil, attentionScale: Float? = nil,
        pooling: Pooling? = .last
    ) {
        self.architecture = architecture
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.headSize = headSize
        self.contextLength = contextLength
        self.normEpsilon = normEpsilon
        self.rope = rope
        self.tiedEmbeddings = tiedEmbeddings
        self.slidingWindow = slidingWindow
        self.attentionBias = attentionBias
        self.windowedLayers = windowedLayers
        self.windowedRope = windowedRope
        self.attentionScale = attentionScale
        self.pooling = pooling
    }

    /// Whether a layer sees only the sliding window.
    package func isWindowed(layer: Int) -> Bool {
        guard slidingWindow != nil else { return false }
        guard let windowedLayers else { return true }
        return windowedLayers.indices.contains(layer) && windowedLayers[layer]
    }
}

/// Rotary position embedding (Su et al., RoFormer) and its scalings.
public struct RopeConfiguration: Sendable, Hashable {
    /// The base of the frequencies.
    public var theta: Double
    /// Elements of each head that rotate.
    public var rotarySize: Int
    /// Whether pairs are neighbours (GGUF files of `llama`) or half a head apart (Hugging Face, `qwen2`).
    public var interleaved: Bool
    /// How long contexts stretch the frequencies.
    public var scaling: Scaling

    /// Frequency scalings.
    public enum Scaling: Sendable, Hashable {
        /// Frequencies as trained.
        case none
        /// Positions divided by a factor.
        case linear(factor: Double)
        /// Llama 3.1: low frequencies divided by a factor, high ones kept, a smooth change between.
        case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
        /// Divisors per frequency, from a GGUF file's `rope_freqs.weight`; `rotarySize / 2` of them.
        case divisors([Float])
    }

    /// Describes a rotary embedding.
    public init(theta: Double, rotarySize: Int, interleaved: Bool, scaling: Scaling = .none) {
        self.theta = theta
        self.rotarySize = rotarySize
        self.interleaved = interleaved
        self.scaling = scaling
    }
}
