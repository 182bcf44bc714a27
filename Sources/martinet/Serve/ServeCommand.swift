import ArgumentParser
import Foundation
import Logging
import MartinetAPI
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetServer
import MartinetTelemetry
import NIOCore

/// `martinet serve`: a model behind HTTP.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a model over HTTP: OpenAI's API and our own.",
        discussion: """
            Every flag is also an environment variable: --max-num-seqs is MARTINET_MAX_NUM_SEQS, the model MARTINET_MODEL. \
            Flags win. SIGTERM and SIGINT let running requests end.
            """)

    @Argument(help: "A model in the store, or the path of one (smollm2).")
    var model: String?

    @OptionGroup(title: "Server") var server: ServerFlags
    @OptionGroup(title: "Engine") var engine: EngineFlags

    func run() async throws {
        let begin = ContinuousClock.now
        let settings = Settings()
        let configuration = try server.configuration(settings)
        let options = try engine.options(settings)
        let logger = try makeLogger(settings)
        let wanted = settings.text("model", model) ?? Catalogue.defaultName

        let path = try ModelStore().resolve(wanted)
        let loaded = try LoadedModel.load(path: path)
        let plan = try MemoryPlan(model: loaded, options: options)
        let engine = InferenceEngine(
            model: loaded.text, engine: try Engine(model: loaded, plan: plan, options: options))
        // A store's name is what people say; of a path its last part is.
        let name = wanted.contains("/") ? loaded.name : wanted
        let served = ServedModel(
            names: server.names(settings, model: name), root: wanted, created: Int(Date().timeIntervalSince1970),
            maxModelLength: engine.maxModelLength, tokenizer: loaded.tokenizer,
            defaults: SamplingDefaults(
                temperature: loaded.generationDefaults.temperature, topP: loaded.generationDefaults.topP,
                topK: loaded.generationDefaults.topK, minP: loaded.generationDefaults.minP,
                repetitionPenalty: loaded.generationDefaults.repetitionPenalty),
            maxSamples: options.maxNumSeqs)
        describe(loaded, plan: plan, served: served, options: options)

        let http = MartinetServer(
            model: served, service: EngineService(engine), configuration: configuration, logger: logger)
        do {
            try await http.run { port in
                let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
                let seconds = String(format: "%.2f", (ContinuousClock.now - begin) / .seconds(1))
                Console.output("Ready in \(seconds) s on http://\(host):\(port)")
                StartupMemory.release()
            }
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw CommandFailure(
                "Port \(configuration.port) on \(configuration.host) is in use. Stop the program that has it, or choose "
                    + "another with --port.")
        } catch let error as IOError where error.errnoCode == EACCES {
            throw CommandFailure("Port \(configuration.port) needs more rights than this user has; try --port 8000.")
        } catch let error as SocketAddressError {
            throw CommandFailure("The address \(configuration.host) cannot be used: \(error).")
        }
        await engine.shutdown(deadline: .zero)
    }

    private func makeLogger(_ settings: Settings) throws -> Logger {
        let levelName = settings.text("log-level", server.logLevel) ?? "info"
        guard let level = Logger.Level(rawValue: levelName) else {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--log-level must be one of \(names), but is `\(levelName)`.")
        }
        let fallback: LogFormat = isatty(STDERR_FILENO) == 1 ? .text : .json
        var format = fallback
        if let name = settings.text("log-format", server.logFormat) {
            guard let value = LogFormat(rawValue: name) else {
                throw ValidationError("--log-format must be text or json, but is `\(name)`.")
            }
            format = value
        }
        return Logger(label: "martinet") { [format] label in
            StructuredLogHandler(label: label, format: format, level: level)
        }
    }

    private func describe(
        _ model: LoadedModel, plan: MemoryPlan, served: ServedModel, options: EngineOptions
    ) {
        let shape = model.configuration
        let limits = plan.limits
        Console.output("Martinet \(Martinet.version)")
        Console.output(
            "Model      \(served.names.joined(separator: ", ")): \(shape.architecture), \(shape.layerCount) layers, "
                + "width \(shape.hiddenSize), vocabulary \(shape.vocabularySize), weights \(Console.bytes(model.facts.weightBytes))"
        )
        Console.output(
            "KV cache   \(Console.bytes(plan.keyValueBytes)): \(limits.blockCount) blocks of "
                + "\(limits.blockSize) tokens, sequences up to \(limits.maxModelLength) tokens")
        if let note = plan.note { Console.output("           \(note)") }
        Console.output(
            "Batch      up to \(options.maxNumSeqs) sequences and \(limits.maxBatchedTokens) tokens a step, dtype "
                + "\(options.dtype.rawValue), prefix caching \(options.enablePrefixCaching ? "on" : "off"), "
                + "\(options.threads.map { "\($0) threads" } ?? "all cores")")
    }
}

/// An error that ends a command, in plain words.
struct CommandFailure: LocalizedError, CustomStringConvertible {
    let description: String
    var errorDescription: String? { description }

    init(_ description: String) {
        self.description = description
    }
}
