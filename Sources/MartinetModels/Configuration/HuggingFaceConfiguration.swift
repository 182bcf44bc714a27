package import MartinetModelFormats

extension ModelConfiguration {
    /// Reads `config.json` of a Hugging Face directory, as transformers 4 and 5 write it.
    ///
    /// - Throws: ``ModelError`` that names the key at fault.
    package init(_ directory: HuggingFaceDirectory) throws(ModelError) {
        let config = directory.config
        let file = directory.path + "/config.json"
        let reader = ConfigurationReader(
            file: file, int: { config[$0]?.int }, double: { config[$0]?.double }, text: { config[$0]?.string },
            truth: { config[$0]?.bool }, has: { config[$0] != nil })
        guard let classes = config["architectures"]?.strings, !classes.isEmpty else {
            throw reader.invalid("\"architectures\" is missing or is not a list of names")
        }
        let architecture = try Architecture.huggingFace(classes: classes)
        let hidden = try reader.integer("hidden_size", in: ConfigurationBounds.width)
        let heads = try reader.integer("num_attention_heads", in: ConfigurationBounds.heads)
        guard hidden % heads == 0 || config["head_dim"] != nil else {
            throw reader.invalid("\"hidden_size\" \(hidden) is not a multiple of \(heads) \"num_attention_heads\"")
        }
        let headSize = try reader.integer("head_dim", in: ConfigurationBounds.headSize, default: hidden / heads)
        guard ConfigurationBounds.headSize.contains(headSize) else {
            throw reader.invalid("heads of \(headSize) elements (\"head_dim\") are not supported; at most 512 are")
        }
        let activations = architecture.huggingFaceActivations
        for key in ["hidden_act", "hidden_activation"] {
            let activation = try reader.string(key) ?? activations[0]
            guard activations.contains(activation) else {
                throw reader.invalid(
                    "\"\(key)\" is \(activation.quotedForMessage); supported is \(activations[0])")
            }
        }
        for key in ["mlp_bias", "use_bidirectional_attention"] where try reader.flag(key) == true {
            throw reader.invalid("\"\(key)\" is true, which is not supported")
        }
        for key in ["final_logit_softcapping", "attn_logit_softcapping"] where config[key] != nil {
            throw reader.invalid("\"\(key)\" is set, which is not supported")
        }
        // A file that says nothing has an output projection or not; one that says it has must have it.
        let hasHead = directory.shards.contains { $0.entries.contains { $0.name == "lm_head.weight" } }
        let tied = try reader.flag("tie_word_embeddings") ?? !hasHead
        // Qwen2 has a window in its file that "use_sliding_window" turns off.
        let windowed = try reader.flag("use_sliding_window") ?? (architecture.name != "qwen2")
        let window = try reader.integer("sliding_window", in: 1...(1 << 26), default: 0)
        let first = try reader.integer("max_window_layers", in: 0...(1 << 20), default: 0)
        if windowed, window > 0, first > 0, architecture.name == "qwen2" {
            throw reader.invalid(
                "\"use_sliding_window\" from layer \(first) (\"max_window_layers\") on is not supported")
        }
        let layers = try reader.integer("num_hidden_layers", in: ConfigurationBounds.layers)
        let alternation = try Self.alternation(config, file: file, architecture, layers: layers, headSize: headSize)
        let queryScalar = try reader.number("query_pre_attn_scalar", in: 1e-3...1e9, default: 256)
        self.init(
            architecture: architecture.name,
            vocabularySize: try reader.integer("vocab_size", in: ConfigurationBounds.vocabulary),
            hiddenSize: hidden,
            intermediateSize: try reader.integer("intermediate_size", in: ConfigurationBounds.width),
            layerCount: layers,
            headCount: heads,
            keyValueHeadCount: try reader.integer(
                "num_key_value_heads", in: ConfigurationBounds.heads, default: heads),
            headSize: headSize,
            contextLength: try reader.integer(
                "max_position_embeddings", in: ConfigurationBounds.context, default: 2048),
            normEpsilon: Float(try reader.number("rms_norm_eps", in: ConfigurationBounds.epsilon, default: 1e-6)),
            rope: try Self.rope(
                config, config["rope_parameters"]?["full_attention"], file: file, headSize: headSize,
                defaultTheta: architecture.defaultTheta),
            tiedEmbeddings: tied,
            slidingWindow: windowed && window > 0 ? window : nil,
            attentionBias: try reader.flag("attention_bias") ?? (architecture.name == "qwen2"),
            windowedLayers: alternation?.windowed, windowedRope: alternation?.rope,
            attentionScale: architecture.name == "gemma3" ? 1 / Float(queryScalar).squareRoot() : nil)
        try validate(
            file: file,
            keys: ConfigurationKeys(
                heads: "num_attention_heads", keyValueHeads: "num_key_value_heads", headSize: "head_dim",
                rotarySize: "partial_rotary_factor"))
    }

    /// Which layers have the window, and how those rotate, for an architecture where they alternate.
    private static func alternation(
        _ config: JSONValue, file: String, _ architecture: Architecture, layers: Int, headSize: Int
    ) throws(ModelError) -> (windowed: [Bool], rope: RopeConfiguration)? {
        guard let period = architecture.windowPeriod else { return nil }
        let reader = ConfigurationReader(
            file: file, int: { config[$0]?.int }, double: { config[$0]?.double }, text: { _ in nil },
            truth: { _ in nil }, has: { config[$0] != nil })
        let windowed: [Bool]
        if let kinds = config["layer_types"]?.strings {
            if let wrong = kinds.first(where: { !["sliding_attention", "full_attention"].contains($0) }) {
                throw reader.invalid("\"layer_types\" has \(wrong.quotedForMessage), which is not supported")
            }
            windowed = kinds.map { $0 == "sliding_attention" }
        } else {
            // As published first, and as transformers 4.5x wrote it.
            let key = config["sliding_window_pattern"] != nil ? "sliding_window_pattern" : "_sliding_window_pattern"
            let period = try reader.integer(key, in: 1...ConfigurationBounds.layers.upperBound, default: period)
            windowed = (1...layers).map { $0 % period != 0 }
        }
        let theta = try reader.number("rope_local_base_freq", in: ConfigurationBounds.theta, default: 10_000)
        // What the other keys of the file say is about layers without the window.
        let local = config["rope_parameters"]?["sliding_attention"]
        return (
            windowed,
            try rope(.object([:]), local, file: file, headSize: headSize, defaultTheta: theta)
        )
    }

    private static func rope(
        _ config: JSONValue, _ parameters: JSONValue?, file: String, headSize: Int, defaultTheta: Double
    ) throws(ModelError) -> RopeConfiguration {
        // transformers 5 writes "rope_parameters" with the base in it; before, "rope_theta" and "rope_scaling".
        let key = config["rope_parameters"] != nil ? "rope_parameters" : "rope_scaling"
        let scaling = parameters ?? config[key]
        guard scaling == nil || scaling?.object != nil else {
            throw ModelError(.invalidModel, "\(file): \"\(key)\" must be an object")
        }
        let reader = ConfigurationReader(
            file: file, int: { scaling?[$0]?.int ?? config[$0]?.int },
            double: { scaling?[$0]?.double ?? config[$0]?.double }, text: { _ in nil },
            truth: { _ in nil },
            has: { scaling?[$0] != nil || config[$0] != nil })
        let theta = try reader.number("rope_theta", in: ConfigurationBounds.theta, default: defaultTheta)
        let partial = try reader.number("partial_rotary_factor", in: 1e-3...1, default: 1)
        let rotary = Int(Double(headSize) * partial)
        let factors = ConfigurationBounds.scalingFactor
        let named = scaling?["rope_type"] ?? scaling?["type"]
        guard let type = named == nil ? "default" : named?.string else {
            throw reader.invalid("\"rope_type\" in \"\(key)\" must be a string")
        }
        let parsed: RopeConfiguration.Scaling
        switch type {
        case "default":
            parsed = .none
        case "linear":
            parsed = .linear(factor: try reader.number("factor", in: factors))
        case "llama3":
            let low = try reader.number("low_freq_factor", in: factors)
            let high = try reader.number("high_freq_factor", in: factors)
            guard low < high else {
                throw reader.invalid("\"low_freq_factor\" \(low) must be below \"high_freq_factor\" \(high)")
            }
            parsed = .llama3(
                factor: try reader.number("factor", in: factors), lowFrequencyFactor: low, highFrequencyFactor: high,
                originalContext: try reader.integer(
                    "original_max_position_embeddings", in: ConfigurationBounds.context))
        default:
            throw ModelError(
                .unsupportedArchitecture,
                "\(file): \"rope_type\" in \"\(key)\" is \(type.quotedForMessage); supported are default, linear and "
                    + "llama3")
        }
        return RopeConfiguration(theta: theta, rotarySize: rotary, interleaved: false, scaling: parsed)
    }
}
