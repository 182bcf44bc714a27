import MartinetModelFormats
import MartinetTokenizers

/// The metadata of a GGUF file for a Hugging Face directory, with the keys of the GGUF specification.
enum GGUFMetadata {
    typealias Entry = (key: String, value: GGUFEncodedValue)

    /// All keys but those of the quantisation.
    ///
    /// - Throws: ``ModelError`` that names what a GGUF file cannot say.
    static func entries(
        of directory: HuggingFaceDirectory, _ model: ModelConfiguration, _ architecture: Architecture
    ) throws -> [Entry] {
        let name = directory.config["_name_or_path"]?.string.map { LoadedModel.name(ofPath: $0) } ?? ""
        let general: [Entry] = [
            ("general.architecture", .string(architecture.name)), ("general.type", .string("model")),
            ("general.name", .string(name.isEmpty ? LoadedModel.name(ofPath: directory.path) : name)),
        ]
        return try general + shape(model, architecture, file: directory.path)
            + TokenizerMetadata.entries(of: directory, vocabularySize: model.vocabularySize)
    }

    private static func shape(
        _ model: ModelConfiguration, _ architecture: Architecture, file: String
    ) throws(ModelError) -> [Entry] {
        func key(_ suffix: String) -> String { "\(architecture.name).\(suffix)" }
        // The configuration's bounds leave every count far below 32 bits.
        func count(_ suffix: String, _ value: Int) -> Entry { (key(suffix), .uint32(UInt32(clamping: value))) }
        var entries = [
            count("block_count", model.layerCount), count("context_length", model.contextLength),
            count("embedding_length", model.hiddenSize), count("feed_forward_length", model.intermediateSize),
            count("attention.head_count", model.headCount),
            count("attention.head_count_kv", model.keyValueHeadCount),
            count("attention.key_length", model.headSize), count("attention.value_length", model.headSize),
            (key("attention.layer_norm_rms_epsilon"), .float32(model.normEpsilon)),
            count("vocab_size", model.vocabularySize), count("rope.dimension_count", model.rope.rotarySize),
            (key("rope.freq_base"), .float32(Float(model.rope.theta))),
        ]
        if case .linear(let factor) = model.rope.scaling {
            entries.append((key("rope.scaling.type"), .string("linear")))
            entries.append((key("rope.scaling.factor"), .float32(Float(factor))))
        }
        if let window = model.slidingWindow { entries.append(count("attention.sliding_window", window)) }
        if let period = architecture.windowPeriod, let windowed = model.windowedLayers {
            func pattern(_ period: Int) -> [Bool] { (1...windowed.count).map { $0 % period != 0 } }
            // Readers know the usual pattern; another period is a number, and what has none a list.
            if windowed != pattern(period) {
                let other = (1...windowed.count + 1).first { windowed == pattern($0) }
                entries.append(
                    (
                        key("attention.sliding_window_pattern"),
                        other.map { .uint32(UInt32(clamping: $0)) } ?? .bools(windowed)
                    ))
            }
        }
        if let rope = model.windowedRope {
            guard rope.scaling == .none else {
                throw ModelError(
                    .unsupportedArchitecture,
                    "\(file): layers with a sliding window scale their rotation, which a GGUF file cannot say")
            }
            entries.append((key("rope.freq_base_swa"), .float32(Float(rope.theta))))
        }
        if let scale = model.attentionScale, abs(scale * Float(model.headSize).squareRoot() - 1) > 1e-6 {
            entries.append((key("attention.scale"), .float32(scale)))
        }
        return entries
    }
}
