internal import Foundation
package import MartinetEngine
package import MartinetModels

extension WorkerDescription {
    /// Describes a worker of this process.
    ///
    /// - Parameters:
    ///   - name: the model's name.
    ///   - version: the program's.
    package init(
        model: LoadedModel, name: String, plan: MemoryPlan, options: EngineOptions, limits: SequenceLimits,
        version: String
    ) {
        self.init(limits: limits)
        self.version = version
        processID = Int(ProcessInfo.processInfo.processIdentifier)
        self.model = name
        architecture = model.configuration.architecture
        layerCount = model.configuration.layerCount
        hiddenSize = model.configuration.hiddenSize
        weightBytes = model.facts.weightBytes
        maxSequences = options.maxNumSeqs
        maxBatchedTokens = plan.limits.maxBatchedTokens
        blockSize = plan.limits.blockSize
        blockCount = plan.limits.blockCount
        keyValueBytes = plan.keyValueBytes
        dtype = options.dtype.rawValue
        cachesPrefixes = options.enablePrefixCaching
        threads = options.threads
        memoryNote = plan.note
    }
}
