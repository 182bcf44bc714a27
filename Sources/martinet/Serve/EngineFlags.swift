import ArgumentParser
import MartinetEngine
import MartinetModels
import MartinetServer

/// Flags of the engine.
struct EngineFlags: ParsableArguments {
    @Option(help: "Most sequences in a step (256).")
    var maxNumSeqs: Int?

    @Option(help: "Most tokens in a step (256 on a CPU).")
    var maxNumBatchedTokens: Int?

    @Option(help: "How many times longer a step may take for prompts beside streams; inf for no bound (1.75).")
    var maxStepStretch: Double?

    @Option(help: "Longest sequence, prompt and output (the model's, or what memory allows).")
    var maxModelLen: Int?

    @Option(help: "The share of memory that weights and KV cache may plan with (0.9).")
    var gpuMemoryUtilization: Double?

    @Option(help: "How activations and the KV cache are held: auto, float16, bfloat16, float32 (auto).")
    var dtype: String?

    @Option(help: "How the KV cache is held: auto, float16, bfloat16, float32, int8 (auto: as dtype).")
    var kvCacheDtype: String?

    @Option(help: "Weights are served in the file's own quantisation: auto or gguf (auto).")
    var quantization: String?

    @Option(help: "Devices that share a model; only 1 is supported.")
    var tensorParallelSize: Int?

    @Option(help: "Where the seeds of requests without one come from (0).")
    var seed: UInt64?

    @Option(help: "Compute threads (all cores).")
    var threads: Int?

    @Option(help: "The kernels' instruction set: auto, scalar, avx2, avx2-vnni, avx512, … (auto).")
    var instructionSet: String?

    @Option(help: "Memory of the KV cache, such as 2GiB (planned).")
    var kvCacheMemory: String?

    @Option(help: "Tokens in a KV block (16).")
    var blockSize: Int?

    @Option(help: "Most sequences that may wait (4096).")
    var maxWaiting: Int?

    @Flag(inversion: .prefixedNo, help: "Reuse KV blocks of equal prefixes (on).")
    var enablePrefixCaching: Bool?

    @Option(help: "Guess tokens ahead from earlier text, several a step: ngram or off (ngram).")
    var speculation: String?

    @Option(help: "Most tokens to guess ahead (8).")
    var numSpeculativeTokens: Int?

    @Option(help: "The same as vLLM's JSON: {\"method\": \"ngram\", \"num_speculative_tokens\": 5}.")
    var speculativeConfig: String?

    /// What is set, as flags for another process; what is not set stays with its default there.
    func arguments(_ settings: Settings) -> [String] {
        var arguments: [String] = []
        func add(_ flag: String, _ given: String?) {
            guard let text = settings.text(flag, given) else { return }
            arguments.append("--\(flag)=\(text)")
        }
        add("max-num-seqs", maxNumSeqs?.description)
        add("max-num-batched-tokens", maxNumBatchedTokens?.description)
        add("max-step-stretch", maxStepStretch?.description)
        add("max-model-len", maxModelLen?.description)
        add("gpu-memory-utilization", gpuMemoryUtilization?.description)
        add("dtype", dtype)
        add("kv-cache-dtype", kvCacheDtype)
        add("quantization", quantization)
        add("tensor-parallel-size", tensorParallelSize?.description)
        add("seed", seed?.description)
        add("threads", threads?.description)
        add("instruction-set", instructionSet)
        add("kv-cache-memory", kvCacheMemory)
        add("block-size", blockSize?.description)
        add("max-waiting", maxWaiting?.description)
        add("speculation", speculation)
        add("num-speculative-tokens", numSpeculativeTokens?.description)
        add("speculative-config", speculativeConfig)
        if let text = settings.text("enable-prefix-caching", enablePrefixCaching?.description) {
            arguments.append(text == "true" ? "--enable-prefix-caching" : "--no-enable-prefix-caching")
        }
        return arguments
    }

    func options(_ settings: Settings) throws -> EngineOptions {
        var options = EngineOptions()
        if let value = try settings.integer("max-num-seqs", maxNumSeqs, in: 1...4096) { options.maxNumSeqs = value }
        options.maxNumBatchedTokens = try settings.integer(
            "max-num-batched-tokens", maxNumBatchedTokens, in: 1...1_048_576)
        if let stretch = try settings.value("max-step-stretch", maxStepStretch, kind: "a number") {
            guard stretch >= 1 else {
                throw ValidationError("--max-step-stretch must be at least 1, but is \(stretch).")
            }
            options.maxStepStretch = stretch
        }
        options.maxModelLen = try settings.integer("max-model-len", maxModelLen, in: 2...(.max))
        options.threads = try settings.integer("threads", threads, in: 1...1024)
        if let name = settings.text("instruction-set", instructionSet) {
            options.instructionSet = try settings.instructionSet(name)
        }
        if let value = try settings.integer("block-size", blockSize, in: 1...256) { options.blockSize = value }
        if let value = try settings.integer("max-waiting", maxWaiting, in: 1...1_048_576) { options.maxWaiting = value }
        if let share = try settings.value("gpu-memory-utilization", gpuMemoryUtilization, kind: "a number") {
            guard share > 0, share <= 1 else {
                throw ValidationError("--gpu-memory-utilization must be above 0 and at most 1, but is \(share).")
            }
            options.gpuMemoryUtilization = share
        }
        if let name = settings.text("dtype", dtype) {
            guard let value = DType(rawValue: name) else {
                let names = DType.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--dtype must be one of \(names), but is `\(name)`.")
            }
            options.dtype = value
        }
        if let name = settings.text("kv-cache-dtype", kvCacheDtype), name != "auto" {
            guard let value = KeyValueType(rawValue: name) else {
                let names = (["auto"] + KeyValueType.allCases.map(\.rawValue)).joined(separator: ", ")
                throw ValidationError("--kv-cache-dtype must be one of \(names), but is `\(name)`.")
            }
            options.kvCacheDtype = value
        }
        if let name = settings.text("quantization", quantization), !["auto", "gguf", "none"].contains(name) {
            throw ValidationError(
                "--quantization must be auto: weights are served as their file holds them; pull a file of the "
                    + "quantisation that you want instead of `\(name)`.")
        }
        if let size = try settings.value("tensor-parallel-size", tensorParallelSize, kind: "an integer"), size != 1 {
            throw ValidationError("--tensor-parallel-size must be 1: a model runs on one device here, not \(size).")
        }
        if let value = try settings.value("seed", seed, kind: "an integer") { options.seed = value }
        options.kvCacheBytes = try settings.bytes("kv-cache-memory", kvCacheMemory)
        if let value = try settings.value("enable-prefix-caching", enablePrefixCaching, kind: "true or false") {
            options.enablePrefixCaching = value
        }
        options.speculation = try speculation(settings)
        return options
    }

    private func speculation(_ settings: Settings) throws -> Speculation {
        let method = settings.text("speculation", speculation)
        let count = try settings.integer("num-speculative-tokens", numSpeculativeTokens, in: 1...32)
        do throws(EngineError) {
            guard let json = settings.text("speculative-config", speculativeConfig) else {
                return try SpeculativeConfiguration.speculation(method: method ?? "ngram", maxDraftTokens: count)
            }
            guard method == nil, count == nil else {
                throw EngineError(
                    .invalidParameter,
                    "--speculative-config says all: leave out --speculation and --num-speculative-tokens.")
            }
            return try SpeculativeConfiguration.speculation(json: json)
        } catch {
            throw ValidationError(error.message)
        }
    }
}
