import ArgumentParser
import Logging
import MartinetServer

/// `martinet gateway`: other servers and remote workers behind HTTP.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "Route requests to remote workers and other servers.",
        discussion: """
            What it routes to stands in the file that --config names: `models` with `connect`, and `upstreams`. Every \
            flag is also an environment variable and a setting of the file, as with `martinet serve`.
            """)

    @OptionGroup(title: "Server") var server: ServerFlags
    @OptionGroup(title: "Storage") var storage: StorageFlags
    @OptionGroup(title: "Workers") var fleet: FleetFlags

    func run() async throws {
        let begin = ContinuousClock.now
        let (settings, file) = try server.settings()
        guard !file.isEmpty else {
            throw ValidationError("A gateway needs --config FILE, with `models` or `upstreams` in the file.")
        }
        var configuration = try server.configuration(settings)
        try storage.apply(settings, to: &configuration)
        let logger = try settings.logger(level: server.logLevel, format: server.logFormat)
        Console.output("Martinet \(Martinet.version)")
        let storage = try await storage.open(settings)
        let fleet = FleetSettings(
            models: [], model: nil, server: server, logLevel: server.logLevel, logFormat: server.logFormat,
            fleet: fleet, engine: EngineFlags(), startsWorkers: false)
        try await fleet.serve(server, storage: storage, configuration: configuration, logger: logger, since: begin)
    }
}
