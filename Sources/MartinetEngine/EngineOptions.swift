public import MartinetModels

/// How activations and the KV cache are held.
public enum DType: String, Sendable, Hashable, CaseIterable {
    /// The fastest that keeps the model's quality: quantised weights times 16-bit activations, a float16 KV cache.
    case auto
    /// A float16 KV cache.
    case float16
    /// A bfloat16 KV cache.
    case bfloat16
    /// Float32 throughout: the reference arithmetic, several times slower.
    case float32
}

/// Settings of an engine; names follow vLLM's.
public struct EngineOptions: Sendable, Hashable {
    /// Most sequences in a step, 1...4096.
    public var maxNumSeqs = 256
    /// Most tokens in a step; `nil` takes ``defaultMaxNumBatchedTokens``.
    public var maxNumBatchedTokens: Int?
    /// Longest sequence; `nil` takes the model's context, or what the KV cache can hold.
    public var maxModelLen: Int?
    /// Tokens in a KV block, 1...256.
    public var blockSize = 16
    /// Bytes of the KV cache; `nil` plans with the memory that is free.
    public var kvCacheBytes: Int?
    /// The share of the machine's memory that weights, scratch and KV cache may plan with; above 0, at most 1.
    public var gpuMemoryUtilization = 0.9
    /// How activations and the KV cache are held.
    public var dtype = DType.auto
    /// How the KV cache is held; `nil` as ``dtype`` says. With ``DType/float32`` it is float32 whatever this is.
    public var kvCacheDtype: KeyValueType?
    /// Compute threads; `nil` takes the cores this process may use.
    public var threads: Int?
    /// Where the seeds of requests without one come from.
    public var seed: UInt64 = 0
    /// How many times longer a step may take for the prompt tokens it carries beside sequences that decode, 1 or more:
    /// it bounds what a long prompt does to the time between others' tokens. Infinite for no bound.
    public var maxStepStretch = 1.75
    /// Most sequences that may wait.
    public var maxWaiting = 4096
    /// Whether requests reuse the KV blocks of equal prefixes.
    public var enablePrefixCaching = true
    /// How embeddings are made of hidden states; `nil` as the model says.
    public var pooling: Pooling?
    /// How tokens are guessed ahead; changes no token that comes out.
    public var speculation = Speculation.promptLookup()
    /// The instruction set to compute with; `nil` takes this machine's best.
    public var instructionSet: InstructionSet?

    /// A step's tokens on a CPU: prompts are computed in chunks of this size, and decoding goes on between them.
    ///
    /// A GPU wants thousands. Here the kernels are as fast at 128 tokens as at 512 (docs/reference/engine.md has the
    /// figures), and every other stream waits for the chunk.
    public static let defaultMaxNumBatchedTokens = 256

    /// Everything at its default.
    public init() {}

    var keyValueType: KeyValueType {
        switch dtype {
        case .auto, .float16: kvCacheDtype ?? .float16
        case .bfloat16: kvCacheDtype ?? .bfloat16
        case .float32: .float32
        }
    }

    func validate() throws(EngineError) {
        func check(_ holds: Bool, _ name: String, _ range: String, _ value: Any) throws(EngineError) {
            guard holds else {
                throw EngineError(.invalidParameter, "\(name) must be \(range), but is \(value).", parameter: name)
            }
        }
        try check((1...4096).contains(maxNumSeqs), "max_num_seqs", "from 1 to 4096", maxNumSeqs)
        if let tokens = maxNumBatchedTokens {
            try check((1...1_048_576).contains(tokens), "max_num_batched_tokens", "from 1 to 1048576", tokens)
        }
        if let length = maxModelLen { try check(length >= 2, "max_model_len", "at least 2", length) }
        try check((1...256).contains(blockSize), "block_size", "from 1 to 256", blockSize)
        if let bytes = kvCacheBytes { try check(bytes > 0, "kv_cache_memory", "above 0 bytes", bytes) }
        try check(
            gpuMemoryUtilization > 0 && gpuMemoryUtilization <= 1, "gpu_memory_utilization", "above 0 and at most 1",
            gpuMemoryUtilization)
        if let threads { try check((1...1024).contains(threads), "threads", "from 1 to 1024", threads) }
        try check(maxWaiting >= 1, "max_waiting", "at least 1", maxWaiting)
        try check(maxStepStretch >= 1, "max_step_stretch", "at least 1", maxStepStretch)
        try speculation.validate()
    }
}
