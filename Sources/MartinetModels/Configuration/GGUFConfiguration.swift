package import MartinetModelFormats
import MartinetTensors

extension ModelConfiguration {
    /// Reads a GGUF file's metadata.
    ///
    /// Keys as the GGUF specification names them, `{architecture}.*`.
    /// - Throws: ``ModelError`` that names the key at fault.
    package init(_ file: GGUFFile) throws(ModelError) {
        let metadata = file.metadata
        let reader = ConfigurationReader(
            file: file.path, int: { metadata[$0]?.int }, double: { metadata[$0]?.double },
            text: { metadata[$0]?.string }, truth: { metadata[$0]?.bool }, has: { metadata[$0] != nil })
        guard let name = try reader.string("general.architecture") else {
            throw reader.invalid("\"general.architecture\" is missing")
        }
        let architecture = try Architecture.named(name)
        func key(_ suffix: String) -> String { "\(name).\(suffix)" }

        guard let embedding = file.tensor("token_embd.weight"), embedding.shape.count == 2 else {
            throw reader.invalid("the tensor \"token_embd.weight\" is missing or is not a matrix")
        }
        let vocabulary = embedding.shape[0]
        guard ConfigurationBounds.vocabulary.contains(vocabulary) else {
            throw reader.invalid("\"token_embd.weight\" has \(vocabulary) rows")
        }
        let hidden = try reader.integer(key("embedding_length"), in: ConfigurationBounds.width)
        let heads = try reader.integer(key("attention.head_count"), in: ConfigurationBounds.heads)
        let keyLength = key("attention.key_length")
        guard hidden % heads == 0 || metadata[keyLength] != nil else {
            throw reader.invalid("\"\(key("embedding_length"))\" \(hidden) is not a multiple of \(heads) heads")
        }
        let headSize = try reader.integer(
            keyLength, in: ConfigurationBounds.headSize, default: hidden / heads)
        let valueSize = try reader.integer(
            key("attention.value_length"), in: ConfigurationBounds.headSize, default: headSize)
        guard headSize == valueSize, ConfigurationBounds.headSize.contains(headSize) else {
            throw reader.invalid(
                "heads of \(headSize) keys (\"\(keyLength)\") and \(valueSize) values "
                    + "(\"\(key("attention.value_length"))\") are not supported")
        }
        let experts = try reader.integer(key("expert_count"), in: 0...(1 << 20), default: 0)
        guard experts == 0 else {
            throw ModelError(
                .unsupportedArchitecture,
                "\(file.path): \"\(key("expert_count"))\" is \(experts); mixtures of experts are not supported yet")
        }
        let rotary = try reader.integer(
            key("rope.dimension_count"), in: ConfigurationBounds.headSize, default: headSize)
        let window = try reader.integer(key("attention.sliding_window"), in: 0...(1 << 26), default: 0)
        let layers = try reader.integer(key("block_count"), in: ConfigurationBounds.layers)
        let alternation = try Self.alternation(file, reader, architecture, layers: layers, rotary: rotary)
        self.init(
            architecture: name, vocabularySize: vocabulary, hiddenSize: hidden,
            intermediateSize: try reader.integer(key("feed_forward_length"), in: ConfigurationBounds.width),
            layerCount: layers,
            headCount: heads,
            keyValueHeadCount: try reader.integer(
                key("attention.head_count_kv"), in: ConfigurationBounds.heads, default: heads),
            headSize: headSize,
            contextLength: try reader.integer(key("context_length"), in: ConfigurationBounds.context),
            normEpsilon: Float(
                try reader.number(key("attention.layer_norm_rms_epsilon"), in: ConfigurationBounds.epsilon)),
            rope: RopeConfiguration(
                theta: try reader.number(
                    key("rope.freq_base"), in: ConfigurationBounds.theta,
                    default: architecture.defaultTheta),
                rotarySize: rotary, interleaved: architecture.interleavedInGGUF,
                scaling: try Self.scaling(file, reader, prefix: name)),
            tiedEmbeddings: file.tensor("output.weight") == nil, slidingWindow: window > 0 ? window : nil,
            attentionBias: file.tensor("blk.0.attn_q.bias") != nil, windowedLayers: alternation?.windowed,
            windowedRope: alternation?.rope,
            attentionScale: try Self.attentionScale(reader, architecture, layers: layers, hidden: hidden, heads: heads),
            pooling: Pooling(gguf: metadata[key("pooling_type")]?.int))
        try validate(
            file: file.path,
            keys: ConfigurationKeys(
                heads: key("attention.head_count"), keyValueHeads: key("attention.head_count_kv"), headSize: keyLength,
                rotarySize: key("rope.dimension_count")))
    }

    /// Which layers have the window, and how those rotate, for an architecture where they alternate.
    private static func alternation(
        _ file: GGUFFile, _ reader: ConfigurationReader, _ architecture: Architecture, layers: Int, rotary: Int
    ) throws(ModelError) -> (windowed: [Bool], rope: RopeConfiguration)? {
        guard let period = architecture.windowPeriod else { return nil }
        let patternKey = "\(architecture.name).attention.sliding_window_pattern"
        let windowed: [Bool]
        if let array = file.metadata[patternKey]?.bools {
            windowed = array
        } else {
            let period = try reader.integer(patternKey, in: 1...ConfigurationBounds.layers.upperBound, default: period)
            windowed = (1...layers).map { $0 % period != 0 }
        }
        let rope = RopeConfiguration(
            theta: try reader.number(
                "\(architecture.name).rope.freq_base_swa", in: ConfigurationBounds.theta, default: 10_000),
            rotarySize: rotary, interleaved: architecture.interleavedInGGUF)
        return (windowed, rope)
    }

    /// What multiplies attention scores, where it is not the root of the head size.
    private static func attentionScale(
        _ reader: ConfigurationReader, _ architecture: Architecture, layers: Int, hidden: Int, heads: Int
    ) throws(ModelError) -> Float? {
        let capKey = "\(architecture.name).final_logit_softcapping"
        if try reader.number(capKey, in: 0...1e6, default: 0) > 0 {
            throw ModelError(.unsupportedArchitecture, "\(reader.file): \"\(capKey)\" is set, which is not supported")
        }
        let key = "\(architecture.name).attention.scale"
        if reader.has(key) { return Float(try reader.number(key, in: ConfigurationBounds.attentionScale)) }
        // The largest Gemma 3, of 62 layers, scales by width over heads; its files do not say so.
        return architecture.name == "gemma3" && layers == 62 ? 1 / (Float(hidden) / Float(heads)).squareRoot() : nil
    }

    private static func scaling(
        _ file: GGUFFile, _ reader: ConfigurationReader, prefix: String
    ) throws(ModelError) -> RopeConfiguration.Scaling {
        if let divisors = file.tensor("rope_freqs.weight") {
            guard divisors.type == .float32, divisors.rows == 1, divisors.columns <= 4096 else {
                throw reader.invalid("the tensor \"rope_freqs.weight\" must be a vector of F32")
            }
            return .divisors(
                (0..<divisors.columns).map { divisors.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) })
        }
        let typeKey = "\(prefix).rope.scaling.type"
        // Old files have only a linear factor, under one key or the other.
        let oldKey = "\(prefix).rope.scale_linear"
        let factorKey = reader.has("\(prefix).rope.scaling.factor") ? "\(prefix).rope.scaling.factor" : oldKey
        let factor = try reader.number(factorKey, in: ConfigurationBounds.scalingFactor, default: 1)
        switch try reader.string(typeKey) {
        case "none": return .none
        case "linear", nil: return factor == 1 ? .none : .linear(factor: factor)
        case let other?:
            throw ModelError(
                .unsupportedArchitecture,
                "\(file.path): \"\(typeKey)\" is \(other.quotedForMessage); supported are none and linear")
        }
    }
}
