package import MartinetModels

extension Engine {
    /// Reserves a model's memory as planned and starts the thread.
    ///
    /// - Parameter stepEnded: runs on the engine's thread after each step, when all of its events are published.
    /// - Throws: ``EngineError`` or ``ModelError`` where the options do not fit the model or the machine.
    package convenience init(
        model: LoadedModel, plan: MemoryPlan, options: EngineOptions,
        stepEnded: @escaping @Sendable () -> Void = {}
    ) throws {
        let runnerOptions = RunnerOptions(
            precision: options.dtype == .float32 ? .exact : .fast, keyValueType: options.keyValueType,
            threads: options.threads, instructionSet: options.instructionSet?.code)
        try self.init(
            maxSequences: options.maxNumSeqs, maxWaiting: options.maxWaiting, endTokens: model.endTokens,
            seed: options.seed, reusesPrefixes: options.enablePrefixCaching, speculation: options.speculation,
            maxStepStretch: options.maxStepStretch,
            constraints: ConstraintCompiler(
                tokenizer: model.tokenizer, vocabularySize: model.configuration.vocabularySize,
                endTokens: model.endTokens),
            pooling: options.pooling, stepEnded: stepEnded
        ) {
            try model.makeRunner(limits: plan.limits, options: runnerOptions)
        }
    }
}
