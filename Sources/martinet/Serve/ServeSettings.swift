import ArgumentParser
import Foundation
import MartinetEngine
import MartinetModels
import MartinetServer
import MartinetTelemetry
import MartinetTemplates

/// Takes a setting from its flag, else from the environment, else from the configuration file (`--max-num-seqs`, then
/// `MARTINET_MAX_NUM_SEQS`, then `max_num_seqs`).
struct Settings {
    var environment = ProcessInfo.processInfo.environment
    /// What the configuration file says, by the flags' names with underscores.
    var file: [String: String] = [:]

    /// The name of a flag in a configuration file.
    static func key(_ flag: String) -> String { flag.replacingOccurrences(of: "-", with: "_") }

    /// What is said beside the flag itself, and where.
    private func found(_ flag: String) -> (text: String, place: String)? {
        let variable = Self.variable(flag)
        if let text = environment[variable], !text.isEmpty { return (text, variable) }
        return file[Self.key(flag)].map { ($0, "`\(Self.key(flag))` in the configuration file") }
    }

    /// The same settings, with those of one model of the file before the others of the file.
    func merging(_ others: [String: String]) -> Settings {
        var merged = self
        merged.file.merge(others) { $1 }
        return merged
    }

    static func variable(_ flag: String) -> String {
        "MARTINET_" + flag.uppercased().replacingOccurrences(of: "-", with: "_")
    }

    func value<Value: LosslessStringConvertible>(_ flag: String, _ given: Value?, kind: String) throws -> Value? {
        if let given { return given }
        guard let (text, place) = found(flag) else { return nil }
        guard let value = Value(text) else {
            throw ValidationError("\(place) must be \(kind), but is `\(text)`.")
        }
        return value
    }

    func text(_ flag: String, _ given: String?) -> String? {
        given ?? found(flag)?.text
    }

    func integer(_ flag: String, _ given: Int?, in range: ClosedRange<Int>) throws -> Int? {
        guard let value = try value(flag, given, kind: "an integer") else { return nil }
        guard range.contains(value) else {
            let expected =
                range.upperBound == .max
                ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            throw ValidationError("--\(flag) must be \(expected), but is \(value).")
        }
        return value
    }

    /// A span of at most a day.
    func seconds(_ flag: String, _ given: Double?) throws -> Duration? {
        guard let value = try value(flag, given, kind: "a number of seconds") else { return nil }
        guard value >= 0, value <= 86_400 else {
            throw ValidationError("--\(flag) must be from 0 to 86400 seconds, but is \(value).")
        }
        return .milliseconds(Int(value * 1000))
    }

    /// The instruction set of a name; `nil` for `auto`.
    func instructionSet(_ name: String) throws -> InstructionSet? {
        do {
            return try InstructionSet.named(name)
        } catch {
            throw ValidationError("--instruction-set: \(error.message).")
        }
    }

    /// A number of bytes: `1073741824`, `512MiB`, `4G`.
    func bytes(_ flag: String, _ given: String?) throws -> Int? {
        guard let text = text(flag, given) else { return nil }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).lowercased()
        let shifts = [
            "": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30,
        ]
        guard let number = Double(digits), let shift = shifts[unit], number > 0, number < 1e12 else {
            throw ValidationError("--\(flag) must be a number of bytes such as 4GiB, but is `\(text)`.")
        }
        let bytes = number * Double(1 << shift)
        guard bytes >= 1, bytes < 1e18 else {
            throw ValidationError("--\(flag) is out of range: `\(text)`.")
        }
        return Int(bytes)
    }
}

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

/// Flags of the HTTP server.
struct ServerFlags: ParsableArguments {
    @Option(help: "A file of settings, models, upstreams and rules (YAML); SIGHUP reads it again.")
    var config: String?

    @Option(help: "The address to listen on; 0.0.0.0 lets other machines in (127.0.0.1).")
    var host: String?

    @Option(help: "The port to listen on; 0 takes a free one (8000).")
    var port: Int?

    @Option(help: "A Unix socket to listen on beside the port (none).")
    var unixSocket: String?

    @Flag(help: "Listen on the Unix socket alone.")
    var noPort = false

    @Option(help: "Encrypt the port with this certificate, a PEM file that is read again when it changes (none).")
    var tlsCertificate: String?

    @Option(help: "The certificate's private key, a PEM file.")
    var tlsKey: String?

    @Option(help: "Take only clients with a certificate of these authorities, a PEM file (none).")
    var tlsClientCa: String?

    @Option(help: "An origin whose pages may use the server, or * for all; may be given several times (none).")
    var corsOrigin: [String] = []

    @Option(help: "A port of its own for probes and metrics, answered even when every other thread is busy (none).")
    var healthPort: Int?

    @Option(help: "A port of its own for gRPC; 0 takes a free one (none).")
    var grpcPort: Int?

    @Option(help: "The header that names a request's conversation, for routing by it (X-Session-Id).")
    var sessionHeader: String?

    @Option(help: "The model's name for clients; may be given several times.")
    var servedModelName: [String] = []

    @Option(help: "How models write tool calls: auto, none, hermes, llama3_json, pythonic, mistral, json (auto).")
    var toolCallParser: String?

    @Option(help: "How models mark reasoning: auto, none, think (auto).")
    var reasoningParser: String?

    @Flag(help: "Refuse requests with fields that the server does not know.")
    var strictRequests = false

    @Option(help: "Most bytes of a request's body (32MiB).")
    var maxBodyBytes: String?

    @Option(help: "Most bytes of a request's head (64KiB).")
    var maxHeaderBytes: String?

    @Option(help: "Most connections at once (three quarters of the files that may be open, at most 100000).")
    var maxConnections: Int?

    @Option(help: "Seconds that a request's head may take, and its body beside a second for each KiB (30).")
    var requestTimeout: Double?

    @Option(help: "Seconds that a connection may rest between two requests (75).")
    var idleTimeout: Double?

    @Option(help: "Seconds of silence after which a stream gets a comment that keeps it alive; 0 for never (15).")
    var sseKeepAlive: Double?

    @Option(help: "Most bytes of a message on a WebSocket (8MiB).")
    var maxWebsocketMessage: String?

    @Option(help: "Most generations at once on one WebSocket (64).")
    var maxWebsocketGenerations: Int?

    @Option(help: "Seconds that running requests get when the server is told to stop (30).")
    var drainTimeout: Double?

    @Option(help: "Seconds without a step after which the engine counts as wedged (120).")
    var stallTimeout: Double?

    @Option(help: "trace, debug, info, notice, warning, error, critical (info).")
    var logLevel: String?

    @Option(help: "text or json (text at a terminal, else json).")
    var logFormat: String?

    /// The settings beside the flags, and the configuration file that they come from.
    func settings() throws -> (settings: Settings, file: ConfigurationFile) {
        var settings = Settings()
        guard let path = settings.text("config", config) else { return (settings, ConfigurationFile()) }
        let file = try ConfigurationFile(path: path)
        settings.file = file.settings
        return (settings, file)
    }

    func configuration(_ settings: Settings) throws -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.version = Martinet.version
        if let value = settings.text("host", host) { configuration.host = value }
        if let value = try settings.integer("port", port, in: 0...65535) { configuration.port = value }
        configuration.healthPort = try settings.integer("health-port", healthPort, in: 0...65535)
        configuration.grpcPort = try settings.integer("grpc-port", grpcPort, in: 0...65535)
        if let name = settings.text("session-header", sessionHeader) {
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 == 0x2D || ($0.isAlphanumeric) }) else {
                throw ValidationError("--session-header must be a header's name, but is `\(name)`.")
            }
            configuration.sessionHeader = name
        }
        if let value = try settings.bytes("max-body-bytes", maxBodyBytes) { configuration.maxBodyBytes = value }
        configuration.strictRequests =
            try settings.value("strict-requests", strictRequests ? true : nil, kind: "true or false") ?? false
        try listening(settings, &configuration)
        try limits(settings, &configuration)
        if let value = try settings.seconds("drain-timeout", drainTimeout) { configuration.drainTimeout = value }
        if let value = try settings.seconds("stall-timeout", stallTimeout) { configuration.stallTimeout = value }
        return configuration
    }

    /// How turns are read.
    func turns(_ settings: Settings) throws -> TurnFormatChoice {
        var turns = TurnFormatChoice()
        switch settings.text("tool-call-parser", toolCallParser) {
        case nil, "auto"?: break
        case "none"?: turns.tools = .off
        case let name?:
            guard let format = ToolCallFormat(named: name) else {
                let names = ToolCallFormat.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--tool-call-parser must be auto, none or one of \(names), but is `\(name)`.")
            }
            turns.tools = .fixed(format)
        }
        switch settings.text("reasoning-parser", reasoningParser) {
        case nil, "auto"?: break
        case "none"?: turns.reasoning = .off
        case let name?:
            guard let format = ReasoningFormat(named: name) else {
                throw ValidationError("--reasoning-parser must be auto, none or think, but is `\(name)`.")
            }
            turns.reasoning = .fixed(format)
        }
        return turns
    }

    private func listening(_ settings: Settings, _ configuration: inout ServerConfiguration) throws {
        configuration.unixSocket = settings.text("unix-socket", unixSocket)
        // What the system's structure for such addresses holds.
        if let path = configuration.unixSocket, !(1...107).contains(path.utf8.count) {
            throw ValidationError("--unix-socket must be a path of at most 107 bytes, but has \(path.utf8.count).")
        }
        if try settings.value("no-port", noPort ? true : nil, kind: "true or false") ?? false {
            guard configuration.unixSocket != nil else {
                throw ValidationError("--no-port needs --unix-socket: a server must listen somewhere.")
            }
            configuration.listensOnPort = false
        }
        let certificate = settings.text("tls-certificate", tlsCertificate)
        let key = settings.text("tls-key", tlsKey)
        let authorities = settings.text("tls-client-ca", tlsClientCa)
        guard (certificate == nil) == (key == nil) else {
            throw ValidationError("--tls-certificate and --tls-key belong together.")
        }
        if let certificate, let key {
            configuration.tls = .init(certificate: certificate, key: key, clientAuthorities: authorities)
        } else if authorities != nil {
            throw ValidationError("--tls-client-ca needs --tls-certificate and --tls-key.")
        }
        configuration.corsOrigins =
            corsOrigin.isEmpty
            ? settings.text("cors-origin", nil)?.split(separator: ",").map(String.init) ?? [] : corsOrigin
        for origin in configuration.corsOrigins where origin != "*" && !origin.contains("://") {
            throw ValidationError("--cors-origin must be * or such as https://chat.example, but is `\(origin)`.")
        }
    }

    private func limits(_ settings: Settings, _ configuration: inout ServerConfiguration) throws {
        if let value = try settings.bytes("max-header-bytes", maxHeaderBytes) {
            guard (1024...1 << 20).contains(value) else {
                throw ValidationError("--max-header-bytes must be from 1KiB to 1MiB, but is \(value).")
            }
            configuration.maxHeaderBytes = value
        }
        configuration.maxConnections = try settings.integer("max-connections", maxConnections, in: 1...1_000_000)
        if let value = try settings.seconds("request-timeout", requestTimeout) { configuration.requestTimeout = value }
        if let value = try settings.seconds("idle-timeout", idleTimeout) { configuration.idleTimeout = value }
        if let value = try settings.seconds("sse-keep-alive", sseKeepAlive) { configuration.keepAlive = value }
        if let value = try settings.bytes("max-websocket-message", maxWebsocketMessage) {
            guard (1024...1 << 30).contains(value) else {
                throw ValidationError("--max-websocket-message must be from 1KiB to 1GiB, but is \(value).")
            }
            configuration.maxWebSocketMessageBytes = value
        }
        if let value = try settings.integer("max-websocket-generations", maxWebsocketGenerations, in: 1...65_536) {
            configuration.maxWebSocketGenerations = value
        }
    }

    /// The names that the command line's model is served under; empty where none is given.
    func names(_ settings: Settings) -> [String] {
        guard servedModelName.isEmpty else { return servedModelName }
        return settings.text("served-model-name", nil)?.split(separator: ",").map(String.init) ?? []
    }
}

extension UInt8 {
    fileprivate var isAlphanumeric: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
    }
}
