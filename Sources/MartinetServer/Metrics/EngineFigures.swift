internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry

/// Metrics that repeat what the engine counts itself, read at each scrape.
struct EngineFigures {
    let registry: MetricsRegistry
    let labels: MetricLabels
    let service: any InferenceService
    let state: ServerState

    func register() {
        let running = registry.gauge(
            "vllm:num_requests_running", help: "Sequences in the running batch.", labels: labels)
        let waiting = registry.gauge("vllm:num_requests_waiting", help: "Sequences that wait.", labels: labels)
        let usage = registry.gauge("vllm:kv_cache_usage_perc", help: "Share of KV blocks held, 0 to 1.", labels: labels)
        let queries = registry.counter(
            "vllm:prefix_cache_queries_total", help: "Prompt tokens looked up in the prefix cache.", labels: labels)
        let hits = registry.counter(
            "vllm:prefix_cache_hits_total", help: "Prompt tokens found in the prefix cache.", labels: labels)
        let preemptions = registry.counter(
            "vllm:num_preemptions_total", help: "Sequences put back to wait for want of blocks.", labels: labels)
        let prompt = registry.counter("vllm:prompt_tokens_total", help: "Prompt tokens taken.", labels: labels)
        let cached = registry.counter(
            "vllm:prompt_tokens_cached_total", help: "Prompt tokens from the prefix cache.", labels: labels)
        let generated = registry.counter("vllm:generation_tokens_total", help: "Tokens generated.", labels: labels)
        let drafts = registry.counter(
            "vllm:spec_decode_num_drafts_total", help: "Times that a sequence guessed tokens ahead.", labels: labels)
        let draftTokens = registry.counter(
            "vllm:spec_decode_num_draft_tokens_total", help: "Tokens guessed.", labels: labels)
        let acceptedTokens = registry.counter(
            "vllm:spec_decode_num_accepted_tokens_total", help: "Guessed tokens that were generated.", labels: labels)
        let finished = Dictionary(
            uniqueKeysWithValues: [FinishReason.stop, .length, .abort].map { reason in
                let labels = labels + [(name: "finished_reason", value: reason.rawValue)]
                return (
                    reason,
                    registry.counter("vllm:request_success_total", help: "Sequences ended, by reason.", labels: labels)
                )
            })
        let sleeping = registry.gauge(
            "vllm:engine_sleep_state", help: "Whether the engine is awake.",
            labels: labels + [(name: "sleep_state", value: "awake")])
        sleeping.set(1)

        let batch = registry.gauge("vllm_batch_size", help: "Sequences in the last step's batch.")
        let tokens = registry.counter("vllm_tokens_generated_total", help: "Tokens generated.")
        let memory = registry.gauge("vllm_memory_usage_bytes", help: "Memory that the process holds.")
        let steps = registry.counter("martinet_engine_steps_total", help: "Steps that the engine executed.")
        let stepTokens = registry.gauge("martinet_batch_tokens", help: "Tokens in the last step's batch.")
        let blocks = registry.gauge("martinet_kv_blocks", help: "KV blocks in the pool.")
        let used = registry.gauge("martinet_kv_blocks_used", help: "KV blocks that sequences hold.")
        let kept = registry.gauge("martinet_kv_blocks_cached", help: "KV blocks nobody holds that keep prefixes.")
        let progress = registry.gauge(
            "martinet_engine_seconds_since_progress", help: "Time since the last step ended while work was there.")
        let draining = registry.gauge("martinet_draining", help: "1 while the server shuts down.")
        let generations = registry.gauge("martinet_http_generations", help: "HTTP requests that generate.")

        registry.collect { [service, state] in
            let figures = service.statistics()
            running.set(Double(figures.running))
            waiting.set(Double(figures.waiting))
            usage.set(figures.totalBlocks > 0 ? Double(figures.usedBlocks) / Double(figures.totalBlocks) : 0)
            queries.set(figures.promptTokens)
            hits.set(figures.cachedPromptTokens)
            preemptions.set(figures.preemptions)
            prompt.set(figures.promptTokens)
            cached.set(figures.cachedPromptTokens)
            generated.set(figures.generatedTokens)
            drafts.set(figures.drafts)
            draftTokens.set(figures.draftTokens)
            acceptedTokens.set(figures.acceptedDraftTokens)
            for (reason, counter) in finished { counter.set(figures.finished[reason] ?? 0) }
            batch.set(Double(figures.lastBatchSequences))
            tokens.set(figures.generatedTokens)
            memory.set(Double(ProcessFigures.residentBytes))
            steps.set(figures.steps)
            stepTokens.set(Double(figures.lastBatchTokens))
            blocks.set(Double(figures.totalBlocks))
            used.set(Double(figures.usedBlocks))
            kept.set(Double(figures.cachedBlocks))
            progress.set(figures.secondsSinceProgress)
            draining.set(state.isDraining ? 1 : 0)
            generations.set(Double(state.generations))
        }
    }
}
