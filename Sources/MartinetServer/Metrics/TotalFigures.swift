internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry

/// Metrics of the whole process and of all its engines together, read at each scrape.
struct TotalFigures {
    let registry: MetricsRegistry
    let directory: ModelDirectory
    let state: ServerState
    /// The processes of the workers.
    let workers: @Sendable () -> [Int]

    func register() {
        let batch = registry.gauge("vllm_batch_size", help: "Sequences in the last step's batch.")
        let tokens = registry.counter("vllm_tokens_generated_total", help: "Tokens generated.")
        let memory = registry.gauge("vllm_memory_usage_bytes", help: "Memory that the server and its workers hold.")
        let steps = registry.counter("martinet_engine_steps_total", help: "Steps that the engine executed.")
        let stepTokens = registry.gauge("martinet_batch_tokens", help: "Tokens in the last step's batch.")
        let blocks = registry.gauge("martinet_kv_blocks", help: "KV blocks in the pool.")
        let used = registry.gauge("martinet_kv_blocks_used", help: "KV blocks that sequences hold.")
        let kept = registry.gauge("martinet_kv_blocks_cached", help: "KV blocks nobody holds that keep prefixes.")
        let progress = registry.gauge(
            "martinet_engine_seconds_since_progress", help: "Time since the last step ended while work was there.")
        let draining = registry.gauge("martinet_draining", help: "1 while the server shuts down.")
        let generations = registry.gauge("martinet_http_generations", help: "HTTP requests that generate.")

        registry.collect { [directory, state, workers] in
            let figures = directory.all.map { $0.service.statistics() }
            func sum(_ field: KeyPath<EngineStatistics, Int>) -> Int { figures.reduce(0) { $0 + $1[keyPath: field] } }
            let generatedTokens = figures.reduce(0) { $0 &+ $1.generatedTokens }
            batch.set(Double(sum(\.lastBatchSequences)))
            tokens.set(generatedTokens)
            memory.set(
                Double(workers().reduce(ProcessFigures.residentBytes) { $0 + ProcessFigures.residentBytes(of: $1) }))
            steps.set(figures.reduce(0) { $0 &+ $1.steps })
            stepTokens.set(Double(sum(\.lastBatchTokens)))
            blocks.set(Double(sum(\.totalBlocks)))
            used.set(Double(sum(\.usedBlocks)))
            kept.set(Double(sum(\.cachedBlocks)))
            progress.set(directory.secondsSinceProgress)
            draining.set(state.isDraining ? 1 : 0)
            generations.set(Double(state.generations))
        }
    }
}
