internal import MartinetAPI
internal import MartinetEngine
internal import MartinetTelemetry

/// Metrics that repeat what the engines of one model count themselves, read at each scrape.
struct EngineFigures {
    let registry: MetricsRegistry
    let labels: MetricLabels
    let name: String
    let directory: ModelDirectory

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

        registry.collect { [name, directory] in
            // A model that is served no longer keeps its last counters.
            guard let figures = directory.all.first(where: { $0.model.name == name })?.service.statistics() else {
                return
            }
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
        }
    }
}
