internal import Foundation
public import MartinetModels

/// How an engine's memory is planned from its options, the model and the machine.
public struct MemoryPlan: Sendable, Hashable {
    /// The bounds that the runner reserves memory by.
    public var limits: RunnerLimits
    /// Bytes of the KV pool.
    public var keyValueBytes: Int
    /// Why the longest sequence is shorter than the model's context, where it is.
    public var note: String?

    /// The most that the KV pool takes where nothing else is said; a pool only costs what has been used of it.
    public static let defaultKeyValueBytes = 4 << 30

    /// Plans.
    ///
    /// - Parameter availableBytes: memory that this process may take.
    /// - Throws: ``EngineError`` where the model does not fit.
    public init(
        model: LoadedModel, options: EngineOptions, availableBytes: Int = MemoryPlan.availableMemory()
    ) throws(EngineError) {
        try options.validate()
        let context = model.configuration.contextLength
        if let length = options.maxModelLen, length > context {
            throw EngineError(
                .invalidParameter,
                "max_model_len is \(length), but the model was made for \(context) tokens at most.",
                parameter: "max_model_len")
        }
        let wanted = options.maxModelLen ?? context
        let bytesPerBlock =
            model.keyValueBytesPerToken(options.keyValueType) * options.blockSize
        let share = Int(Double(availableBytes) * options.gpuMemoryUtilization)
        let upper = options.kvCacheBytes ?? max(0, share - model.facts.weightBytes)
        let blocksWanted = (wanted + options.blockSize - 1) / options.blockSize
        let useful = blocksWanted.multipliedReportingOverflow(by: options.maxNumSeqs).partialValue
        let planned = options.kvCacheBytes ?? max(Self.defaultKeyValueBytes, blocksWanted * bytesPerBlock)
        var blocks = min(min(upper, planned) / bytesPerBlock, useful, RunnerLimits.maxBlockCount)
        var length = wanted
        if blocks < blocksWanted {
            guard options.maxModelLen == nil, blocks * options.blockSize >= 16 else {
                throw EngineError(
                    .invalidParameter,
                    "A sequence of \(wanted) tokens needs \(blocksWanted * bytesPerBlock) bytes of KV cache, but "
                        + "\(upper) are there. Lower --max-model-len, or raise --kv-cache-memory or "
                        + "--gpu-memory-utilization.", parameter: "max_model_len")
            }
            length = blocks * options.blockSize
            note = "the KV cache holds \(length) of the model's \(context) tokens"
        }
        blocks = max(1, blocks)
        limits = RunnerLimits(
            maxBatchedTokens: options.maxNumBatchedTokens ?? EngineOptions.defaultMaxNumBatchedTokens,
            maxLogitRows: options.speculation.logitRows(sequences: options.maxNumSeqs), maxModelLength: length,
            blockSize: options.blockSize, blockCount: blocks)
        keyValueBytes = blocks * bytesPerBlock
    }

    /// Memory that this process may still take: what the kernel calls available, within the control group's limit.
    public static func availableMemory() -> Int {
        func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
        var available = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        if let line = read("/proc/meminfo")?.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        {
            available = kibibytes * 1024
        }
        // Version 2 of control groups; "max" where there is no limit.
        if let limit = read("/sys/fs/cgroup/memory.max").flatMap({
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }) {
            let used = read("/sys/fs/cgroup/memory.current").flatMap {
                Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            available = min(available, max(0, limit - (used ?? 0)))
        }
        return available
    }
}
