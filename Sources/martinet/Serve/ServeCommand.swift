import ArgumentParser
import Foundation
import Logging
import MartinetAPI
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetServer
import MartinetStorage

/// `martinet serve`: models behind HTTP.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve models over HTTP: OpenAI's API and our own.",
        discussion: """
            Every flag is also an environment variable: --max-num-seqs is MARTINET_MAX_NUM_SEQS, the model MARTINET_MODEL; \
            and a setting of the file that --config names: max_num_seqs. Flags win over variables, those over the file. \
            SIGTERM and SIGINT let running requests end, SIGHUP reads the file again.
            """)

    @Argument(help: "A model in the store, or the path of one (smollm2).")
    var model: String?

    @Option(name: .customLong("model"), help: "A model under a name, NAME=MODEL; may be given several times.")
    var models: [String] = []

    @Flag(help: "Compute in this process, without workers: what ends the engine ends the server.")
    var inProcess = false

    @OptionGroup(title: "Server") var server: ServerFlags
    @OptionGroup(title: "Storage") var storage: StorageFlags
    @OptionGroup(title: "Workers") var fleet: FleetFlags
    @OptionGroup(title: "Engine") var engine: EngineFlags

    func run() async throws {
        let begin = ContinuousClock.now
        let (settings, file) = try server.settings()
        var configuration = try server.configuration(settings)
        try storage.apply(settings, to: &configuration)
        let logger = try settings.logger(level: server.logLevel, format: server.logFormat)
        Console.output("Martinet \(Martinet.version)")
        let storage = try await storage.open(settings)
        if try settings.value("in-process", inProcess ? true : nil, kind: "true or false") ?? false {
            guard file.isEmpty, file.rules == nil else {
                throw ValidationError("--in-process takes settings of --config alone, no models, upstreams or rules.")
            }
            try await serveInProcess(settings, storage, configuration, logger, since: begin)
        } else {
            try await fleetSettings.serve(
                server, storage: storage, configuration: configuration, logger: logger, since: begin)
        }
    }

    private var fleetSettings: FleetSettings {
        FleetSettings(
            models: models, model: model, server: server, logLevel: server.logLevel,
            logFormat: server.logFormat, fleet: fleet, engine: engine,
            startsWorkers: true)
    }

    private func serveInProcess(
        _ settings: Settings, _ storage: Storage?, _ configuration: ServerConfiguration, _ logger: Logger,
        since begin: ContinuousClock.Instant
    ) async throws {
        guard models.count <= 1, models.isEmpty || model == nil else {
            throw ValidationError("--in-process serves one model; leave it out to serve several.")
        }
        let parts = models.first?.split(separator: "=", maxSplits: 1).map(String.init) ?? []
        let wanted = parts.last ?? settings.text("model", model) ?? Catalogue.defaultName
        let options = try engine.options(settings)
        let loaded = try LoadedModel.load(path: try ModelStore().resolve(wanted))
        let plan = try MemoryPlan(model: loaded, options: options)
        let engine = InferenceEngine(
            model: loaded.text, engine: try Engine(model: loaded, plan: plan, options: options))
        let own = parts.count == 2 ? parts[0] : (wanted.contains("/") ? loaded.name : wanted)
        let names = server.names(settings)
        let served = ServedModel(
            loaded.text, names: names.isEmpty ? [own] : names, root: wanted, maxModelLength: engine.maxModelLength,
            maxSamples: options.maxNumSeqs, turns: try server.turns(settings))
        Self.describe(
            names: served.names, shape: loaded.configuration, facts: loaded.facts, plan: plan, options: options,
            workers: nil)
        let directory = ModelDirectory([
            Deployment(model: served, service: EngineService(engine), capacity: options.maxNumSeqs)
        ])
        let http = MartinetServer(
            directory: directory, storage: storage, configuration: configuration, logger: logger)
        try await Listening.run(http, configuration, since: begin)
        await engine.shutdown(deadline: .zero)
    }

    static func describe(
        names: [String], shape: ModelConfiguration, facts: MartinetModels.ModelFacts, plan: MemoryPlan,
        options: EngineOptions,
        workers: Int?
    ) {
        let limits = plan.limits
        Console.output(
            "Model      \(names.joined(separator: ", ")): \(shape.architecture), \(shape.layerCount) layers, "
                + "width \(shape.hiddenSize), vocabulary \(shape.vocabularySize), weights \(Console.bytes(facts.weightBytes))"
        )
        Console.output(
            "KV cache   \(Console.bytes(plan.keyValueBytes)): \(limits.blockCount) blocks of "
                + "\(limits.blockSize) tokens, sequences up to \(limits.maxModelLength) tokens")
        if let note = plan.note { Console.output("           \(note)") }
        Console.output(
            "Batch      up to \(options.maxNumSeqs) sequences and \(limits.maxBatchedTokens) tokens a step, dtype "
                + "\(options.dtype.rawValue), prefix caching \(options.enablePrefixCaching ? "on" : "off"), "
                + "\(options.threads.map { "\($0) threads" } ?? (workers ?? 1 > 1 ? "a share of the cores" : "all cores"))"
        )
        if let workers { Console.output("Workers    \(workers)") }
    }
}
