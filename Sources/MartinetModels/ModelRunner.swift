/// The part of one sequence that a step executes.
public struct SequenceSlice: Sendable {
    /// Where its tokens lie in ``ForwardBatch/tokens``.
    public var tokens: Range<Int>
    /// The position of its first token: how many tokens of the sequence the KV cache already holds.
    public var start: Int
    /// KV blocks of the sequence, in order; they cover `start + tokens.count` positions.
    public var blocks: [Int32]

    /// Describes a slice.
    public init(tokens: Range<Int>, start: Int, blocks: [Int32]) {
        self.tokens = tokens
        self.start = start
        self.blocks = blocks
    }
}

/// One step's work: tokens of several sequences, prompt chunks and single decode tokens mixed.
public struct ForwardBatch: Sendable {
    /// Token ids, slice after slice.
    public var tokens: [Int32]
    /// The sequences, in the order of their tokens, without gaps.
    public var slices: [SequenceSlice]
    /// Indices into `tokens` for which logits are wanted, ascending.
    public var logitTokens: [Int]
    /// Whether ``ModelRunner/hiddenStates`` is to be had.
    public var wantsHiddenStates: Bool

    /// Describes a step.
    public init(
        tokens: [Int32] = [], slices: [SequenceSlice] = [], logitTokens: [Int] = [], wantsHiddenStates: Bool = false
    ) {
        self.tokens = tokens
        self.slices = slices
        self.logitTokens = logitTokens
        self.wantsHiddenStates = wantsHiddenStates
    }
}

/// Bounds that a runner reserves its memory by.
public struct RunnerLimits: Sendable, Hashable {
    /// Most tokens in a step.
    public var maxBatchedTokens: Int
    /// Most rows of logits in a step.
    public var maxLogitRows: Int
    /// Longest sequence.
    public var maxModelLength: Int
    /// Tokens in a KV block.
    public var blockSize: Int
    /// KV blocks in the pool.
    public var blockCount: Int

    /// Describes the bounds.
    public init(maxBatchedTokens: Int, maxLogitRows: Int, maxModelLength: Int, blockSize: Int, blockCount: Int) {
        self.maxBatchedTokens = maxBatchedTokens
        self.maxLogitRows = maxLogitRows
        self.maxModelLength = maxModelLength
        self.blockSize = blockSize
        self.blockCount = blockCount
    }
}

/// Executes steps of one model: weights, KV storage and scratch memory together.
///
/// A runner is used by one thread at a time: the engine's step loop owns it.
public protocol ModelRunner: AnyObject {
    /// The model's shape.
    var configuration: ModelConfiguration { get }
    /// What its memory was reserved for.
    var limits: RunnerLimits { get }
    /// Bytes that weights (as held), the KV pool and scratch take.
    var memory: RunnerMemory { get }

    /// Runs a step: stores keys and values of every token in its blocks and computes the wanted logits.
    ///
    /// - Returns: `batch.logitTokens.count` rows of `configuration.vocabularySize` floats, valid until the next call.
    ///   The rows may be written by the caller (samplers change them in place).
    /// - Throws: ``ModelError`` where the batch exceeds the limits or names a token outside the vocabulary.
    func forward(_ batch: ForwardBatch) throws(ModelError) -> UnsafeMutableBufferPointer<Float>

    /// What the layers made of each token of the last step, normalised as in front of the output projection: rows of
    /// `configuration.hiddenSize` floats, valid until the next call. Only of a step that wanted it.
    var hiddenStates: UnsafeBufferPointer<Float> { get }
}

/// Where a runner's memory goes, in bytes.
public struct RunnerMemory: Sendable, Hashable {
    /// Weights, mapped or owned.
    public var weights: Int
    /// The KV pool.
    public var keyValueCache: Int
    /// Activations and logits.
    public var scratch: Int

    /// Describes the use of memory.
    public init(weights: Int, keyValueCache: Int, scratch: Int) {
        self.weights = weights
        self.keyValueCache = keyValueCache
        self.scratch = scratch
    }
}

/// Why a model cannot be loaded or a step cannot run.
public struct ModelError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// The architecture is not one we have.
        public static let unsupportedArchitecture = Code(description: "unsupported_architecture")
        /// The file lacks something or contradicts itself.
        public static let invalidModel = Code(description: "invalid_model")
        /// A setting does not fit the model or the machine.
        public static let invalidSetting = Code(description: "invalid_setting")
        /// A step asked for more than the limits allow.
        public static let invalidBatch = Code(description: "invalid_batch")
    }
    /// What kind of error it is.
    public var code: Code
    /// What was wrong with which input, and what to do.
    public var message: String

    /// Makes an error.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
