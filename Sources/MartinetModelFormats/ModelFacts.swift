import MartinetTensors

/// What can be said of a model from its file alone, in either form, without loading it.
public struct ModelFacts: Sendable {
    /// A kind of tensor storage and how much of it there is.
    public struct TypeUse: Sendable, Hashable {
        /// The type's name: `Q4_K`, `BF16`.
        public let type: String
        /// Tensors of the type.
        public var tensors = 0
        /// Their elements.
        public var elements = 0
        /// Their bytes.
        public var bytes = 0
    }

    /// A tensor, for listing.
    public struct Tensor: Sendable, Hashable {
        /// Its name.
        public let name: String
        /// Its type's name.
        public let type: String
        /// Its dimensions, outermost first.
        public let shape: [Int]
        /// Its bytes.
        public let bytes: Int
    }

    /// `llama`, `qwen2`; `nil` where the file does not say.
    public let architecture: String?
    /// The model's own name, where it has one.
    public let name: String?
    /// The types of the tensors, the one with the most bytes first.
    public let types: [TypeUse]
    /// All tensors in the file's order.
    public let tensors: [Tensor]
    /// Transformer blocks.
    public let layers: Int?
    /// Elements of a token's hidden state.
    public let hiddenSize: Int?
    /// Elements of the feed-forward layer.
    public let intermediateSize: Int?
    /// Attention heads.
    public let heads: Int?
    /// Key and value heads; of the block that has the most where they differ.
    public let keyValueHeads: Int?
    /// Elements of a key and of a value head.
    public let headSize: (key: Int, value: Int)?
    /// The longest context it was trained for, in tokens.
    public let contextLength: Int?
    /// Tokens in the vocabulary.
    public let vocabularySize: Int?

    /// Reads the facts of an open model.
    public init(_ model: ModelFile) {
        switch model {
        case .gguf(let file):
            let architecture = file.architecture
            declaredMix = file.metadata["general.file_type"]?.int.flatMap { Self.mixes[$0] }
            func int(_ key: String) -> Int? {
                guard let architecture, let value = file.metadata["\(architecture).\(key)"] else { return nil }
                return Self.positive(value.int ?? value.ints?.max())
            }
            self.architecture = architecture
            name = file.metadata["general.name"]?.string
            tensors = file.tensors.map {
                Tensor(name: $0.name, type: $0.view.type.name, shape: $0.view.shape, bytes: $0.view.byteCount)
            }
            layers = int("block_count")
            hiddenSize = int("embedding_length")
            intermediateSize = int("feed_forward_length")
            heads = int("attention.head_count")
            keyValueHeads = int("attention.head_count_kv") ?? heads
            let size = Self.quotient(hiddenSize, heads)
            headSize = Self.pair(int("attention.key_length") ?? size, int("attention.value_length") ?? size)
            contextLength = int("context_length")
            vocabularySize = file.metadata["tokenizer.ggml.tokens"]?.array?.count ?? int("vocab_size")
        case .directory(let directory):
            // Models with several parts keep the language model's shape one level deeper.
            declaredMix = nil
            let config = directory.config["text_config"] ?? directory.config
            func int(_ key: String) -> Int? { Self.positive(config[key]?.int) }
            architecture = config["model_type"]?.string
            name = directory.config["_name_or_path"]?.string
            tensors = directory.shards.flatMap { shard in
                shard.entries.map { Tensor(name: $0.name, type: $0.type, shape: $0.shape, bytes: $0.range.count) }
            }
            layers = int("num_hidden_layers")
            hiddenSize = int("hidden_size")
            intermediateSize = int("intermediate_size")
            heads = int("num_attention_heads")
            keyValueHeads = int("num_key_value_heads") ?? heads
            let size = int("head_dim") ?? Self.quotient(hiddenSize, heads)
            headSize = Self.pair(size, size)
            contextLength = int("max_position_embeddings")
            vocabularySize = int("vocab_size")
        }
        var uses: [String: TypeUse] = [:]
        for tensor in tensors {
            uses[tensor.type, default: TypeUse(type: tensor.type)].tensors += 1
            // Both readers have checked that sizes do not overflow; sums of them could only if tensors overlapped.
            uses[tensor.type]?.elements &+= tensor.shape.reduce(1, &*)
            uses[tensor.type]?.bytes &+= tensor.bytes
        }
        types = uses.values.sorted { ($0.bytes, $0.type) > ($1.bytes, $1.type) }
    }

    /// Elements in all tensors.
    public var parameters: Int { types.reduce(0) { $0 &+ $1.elements } }
    /// Bytes in all tensors.
    public var weightBytes: Int { types.reduce(0) { $0 &+ $1.bytes } }
    /// The mix that the file says it is, such as `Q4_K_M`, else the type of most of the weights' bytes.
    public var quantisation: String? { declaredMix ?? types.first?.type }
    private let declaredMix: String?

    /// Values of `general.file_type` (ggml's `llama_ftype`) for the types that we read.
    private static let mixes = [
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
        12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 21: "Q2_K_S",
        25: "IQ4_NL", 30: "IQ4_XS", 32: "BF16",
    ]

    /// Memory that serving needs, in bytes.
    public struct ServingMemory: Sendable, Hashable {
        /// All tensors, as they lie in the file.
        public let weights: Int
        /// Keys and values of one token in all blocks, at 16 bits each.
        public let keyValueBytesPerToken: Int
        /// Keys and values of all sequences at their longest.
        public let keyValueCache: Int
        /// Activations of one step and logits of all sequences, at 32 bits each: an estimate.
        public let scratch: Int
        /// The sum.
        public var total: Int { weights &+ keyValueCache &+ scratch }
    }

    /// Memory that serving needs.
    ///
    /// - Parameters:
    ///   - context: tokens in each sequence; positive.
    ///   - concurrency: sequences at once; positive.
    ///   - batchedTokens: tokens in a step; positive.
    /// - Returns: `nil` where the file does not tell the model's shape, or the sizes overflow.
    public func servingMemory(context: Int, concurrency: Int, batchedTokens: Int = 512) -> ServingMemory? {
        guard let layers, let keyValueHeads, let headSize, let hiddenSize, context > 0, concurrency > 0,
            batchedTokens > 0
        else { return nil }
        let width = (intermediateSize ?? 4 * min(hiddenSize, 1 << 40))
        guard let perHead = Self.product(headSize.key &+ headSize.value, 2),
            let perToken = Self.product(layers, keyValueHeads, perHead),
            let cache = Self.product(perToken, context, concurrency),
            // Residual, normalised, query, attention and projection, then gate and up, for each token of a step.
            let activations = Self.product(6 * min(hiddenSize, 1 << 40) &+ 2 * min(width, 1 << 40), 4, batchedTokens),
            let logits = Self.product(vocabularySize ?? 0, 4, concurrency)
        else { return nil }
        let (scratch, overflow) = activations.addingReportingOverflow(logits)
        guard !overflow, cache < Int.max / 4, scratch < Int.max / 4 else { return nil }
        return ServingMemory(
            weights: weightBytes, keyValueBytesPerToken: perToken, keyValueCache: cache, scratch: scratch)
    }

    /// A count that is at least one and small enough to calculate with.
    private static func positive(_ value: Int?) -> Int? {
        value.flatMap { $0 > 0 && $0 < 1 << 40 ? $0 : nil }
    }

    private static func quotient(_ value: Int?, _ divisor: Int?) -> Int? {
        guard let value, let divisor, divisor > 0 else { return nil }
        return value / divisor
    }

    private static func pair(_ key: Int?, _ value: Int?) -> (key: Int, value: Int)? {
        guard let key, let value else { return nil }
        return (key, value)
    }

    private static func product(_ factors: Int...) -> Int? {
        var result = 1
        for factor in factors {
            let (product, overflow) = result.multipliedReportingOverflow(by: factor)
            if overflow { return nil }
            result = product
        }
        return result
    }
}
