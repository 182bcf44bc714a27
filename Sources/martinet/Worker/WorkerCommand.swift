import ArgumentParser
import Foundation
import Logging
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import MartinetWorkerProtocol

/// `martinet worker`: the engine behind a socket.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Run a model's engine for frontends in other processes.",
        discussion: """
            `martinet serve` starts its own workers; this is for those on other machines. Every flag is also an \
            environment variable, as with `martinet serve`. SIGTERM and SIGINT let running requests end.
            """)

    @Argument(help: "A model in the store, or the path of one (smollm2).")
    var model: String?

    @OptionGroup(title: "Worker") var worker: WorkerFlags
    @OptionGroup(title: "Engine") var engine: EngineFlags

    func run() async throws {
        let begin = ContinuousClock.now
        let settings = Settings()
        let address = try worker.address(settings)
        let tls = try worker.tls(settings, address: address)
        let drainTimeout = try settings.seconds("drain-timeout", worker.drainTimeout) ?? .seconds(30)
        let options = try engine.options(settings)
        let logger = try settings.logger(level: worker.logLevel, format: worker.logFormat)
        let wanted = settings.text("model", model) ?? Catalogue.defaultName

        let path = try ModelStore().resolve(wanted)
        let loaded = try LoadedModel.load(path: path)
        let plan = try MemoryPlan(model: loaded, options: options)
        let steps = StepSignal()
        let engine = try Engine(model: loaded, plan: plan, options: options, stepEnded: steps.stepEnded)
        let server: WorkerServer
        do {
            server = try WorkerServer(
                engine: engine, steps: steps,
                description: WorkerDescription(
                    model: loaded, name: wanted.contains("/") ? loaded.name : wanted, plan: plan, options: options,
                    limits: engine.limits, version: Martinet.version),
                textFiles: .load(path: path), address: address, tls: tls, drainTimeout: drainTimeout)
        } catch let error as WorkerProtocolError {
            throw CommandFailure(error.message)
        }
        if case .tcp(let host, _) = address, tls?.clientAuthoritiesPath == nil,
            !["127.0.0.1", "::1", "localhost"].contains(host)
        {
            logger.warning("Anyone who reaches the port can use the worker: --tls-client-ca keeps others out.")
        }

        let watch = EndWatch(
            server: server, logger: logger, limit: drainTimeout + .seconds(10),
            withStandardInput: worker.exitWithStdin)
        defer { watch.cancel() }
        let seconds = String(format: "%.2f", (ContinuousClock.now - begin) / .seconds(1))
        Console.output("Ready in \(seconds) s on \(server.address)")
        StartupMemory.release()
        do {
            try await server.run()
        } catch let error as WorkerProtocolError {
            throw CommandFailure(error.message)
        }
        logger.info("The worker has ended.")
    }
}

/// Flags of a worker.
struct WorkerFlags: ParsableArguments {
    @Option(help: "The path of the Unix socket to listen on.")
    var socket: String?

    @Option(help: "The host and port to listen on instead, such as 0.0.0.0:9000; port 0 takes a free one.")
    var listen: String?

    @Option(help: "The worker's certificate and those above it, a PEM file; for --listen.")
    var tlsCertificate: String?

    @Option(help: "The key of the certificate, a PEM file.")
    var tlsKey: String?

    @Option(help: "Authorities in a PEM file: only frontends with a certificate of theirs may connect.")
    var tlsClientCa: String?

    @Option(help: "Seconds that running requests get when the worker is told to stop (30).")
    var drainTimeout: Double?

    @Option(help: "trace, debug, info, notice, warning, error, critical (info).")
    var logLevel: String?

    @Option(help: "text or json (text at a terminal, else json).")
    var logFormat: String?

    @Flag(
        help: ArgumentHelp(
            "End when standard input ends: with the process that holds its other side.", visibility: .hidden))
    var exitWithStdin = false

    func address(_ settings: Settings) throws -> WorkerAddress {
        do throws(WorkerProtocolError) {
            switch (settings.text("socket", socket), settings.text("listen", listen)) {
            case (let path?, nil): return try .unix(checking: path)
            case (nil, let text?): return try .tcp(parsing: text)
            default: break
            }
        } catch {
            throw ValidationError(error.message)
        }
        throw ValidationError("Say where to listen: either --socket PATH or --listen HOST:PORT.")
    }

    func tls(_ settings: Settings, address: WorkerAddress) throws -> WorkerServerTLS? {
        // The variables that a server's workers inherit are the server's own.
        if case .unix = address, [tlsCertificate, tlsKey, tlsClientCa].allSatisfy({ $0 == nil }) { return nil }
        let certificate = settings.text("tls-certificate", tlsCertificate)
        let key = settings.text("tls-key", tlsKey)
        let authorities = settings.text("tls-client-ca", tlsClientCa)
        switch (certificate, key) {
        case (nil, nil):
            guard authorities == nil else {
                throw ValidationError("--tls-client-ca needs --tls-certificate and --tls-key.")
            }
            return nil
        case (let certificate?, let key?):
            guard case .tcp = address else {
                throw ValidationError(
                    "--tls-certificate is for --listen: a Unix socket is guarded by its file's rights.")
            }
            for path in [certificate, key, authorities].compactMap({ $0 })
            where !FileManager.default.isReadableFile(atPath: path) {
                throw ValidationError("\(path) cannot be read.")
            }
            return WorkerServerTLS(certificatePath: certificate, keyPath: key, clientAuthoritiesPath: authorities)
        default:
            throw ValidationError("--tls-certificate and --tls-key belong together.")
        }
    }
}
