package import MartinetEngine

/// What a worker serves, and with what bounds.
package struct WorkerDescription: Sendable, Hashable {
    /// The version of the protocol that it speaks.
    package var protocolVersion = WorkerProtocol.version
    /// The program's version.
    package var version = ""
    /// The worker's process.
    package var processID = 0
    /// The model's name.
    package var model = ""
    /// The model's architecture, such as `llama`.
    package var architecture = ""
    /// The model's layers.
    package var layerCount = 0
    /// The model's width.
    package var hiddenSize = 0
    /// Bytes of all weights.
    package var weightBytes = 0
    /// The bounds that requests are checked against.
    package var limits: SequenceLimits
    /// Most sequences in a step.
    package var maxSequences = 0
    /// Most tokens in a step.
    package var maxBatchedTokens = 0
    /// Tokens in a KV block.
    package var blockSize = 0
    /// Blocks in the KV pool.
    package var blockCount = 0
    /// Bytes of the KV pool.
    package var keyValueBytes = 0
    /// How activations and KV cache are held.
    package var dtype = ""
    /// Whether requests reuse the blocks of equal prefixes.
    package var cachesPrefixes = false
    /// Compute threads; `nil` for all cores.
    package var threads: Int?
    /// Why the longest sequence is shorter than the model's context, where it is.
    package var memoryNote: String?

    /// Describes a worker of which only the bounds are known.
    package init(limits: SequenceLimits) { self.limits = limits }
}

extension WireDescription {
    init(_ description: WorkerDescription) {
        protocolVersion = UInt32(clamping: description.protocolVersion)
        version = description.version
        processID = Int64(description.processID)
        model = description.model
        architecture = description.architecture
        layers = Int64(description.layerCount)
        hiddenSize = Int64(description.hiddenSize)
        vocabularySize = Int64(description.limits.vocabularySize)
        weightBytes = Int64(description.weightBytes)
        maxModelLength = Int64(description.limits.maxModelLength)
        maxSequences = Int64(description.maxSequences)
        maxWaiting = Int64(description.limits.maxWaiting)
        maxBatchedTokens = Int64(description.maxBatchedTokens)
        blockSize = Int64(description.blockSize)
        blocks = Int64(description.blockCount)
        keyValueBytes = Int64(description.keyValueBytes)
        dtype = description.dtype
        prefixCaching = description.cachesPrefixes
        if let count = description.threads { threads = Int64(count) }
        if let note = description.memoryNote { memoryNote = note }
    }
}

extension WorkerDescription {
    /// - Throws: ``WorkerProtocolError`` where the worker speaks another version or its bounds cannot be.
    init(_ wire: WireDescription) throws(WorkerProtocolError) {
        guard wire.protocolVersion == UInt32(WorkerProtocol.version) else {
            throw WorkerProtocolError(
                .protocolViolation,
                "The worker speaks version \(wire.protocolVersion) of the protocol, this program \(WorkerProtocol.version). "
                    + "Let both run the same release.")
        }
        guard (1...Int64(Int32.max)).contains(wire.vocabularySize), (1...1 << 40).contains(wire.maxModelLength),
            (1...1 << 40).contains(wire.maxWaiting)
        else {
            throw WorkerProtocolError(.protocolViolation, "The worker's bounds make no sense.")
        }
        func count(_ value: Int64) -> Int { Int(max(value, 0)) }
        self.init(
            limits: SequenceLimits(
                maxModelLength: Int(wire.maxModelLength), maxWaiting: Int(wire.maxWaiting),
                vocabularySize: Int(wire.vocabularySize)))
        version = wire.version
        processID = count(wire.processID)
        model = wire.model
        architecture = wire.architecture
        layerCount = count(wire.layers)
        hiddenSize = count(wire.hiddenSize)
        weightBytes = count(wire.weightBytes)
        maxSequences = count(wire.maxSequences)
        maxBatchedTokens = count(wire.maxBatchedTokens)
        blockSize = count(wire.blockSize)
        blockCount = count(wire.blocks)
        keyValueBytes = count(wire.keyValueBytes)
        dtype = wire.dtype
        cachesPrefixes = wire.prefixCaching
        threads = wire.hasThreads ? count(wire.threads) : nil
        memoryNote = wire.hasMemoryNote ? wire.memoryNote : nil
    }
}
