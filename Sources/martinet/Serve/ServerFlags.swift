import ArgumentParser
import MartinetServer

/// Flags of the HTTP server.
struct ServerFlags: ParsableArguments {
    @Option(help: "A file of settings, models, upstreams and rules (YAML); SIGHUP reads it again.")
    var config: String?

    @Option(help: "The address to listen on; 0.0.0.0 lets other machines in (127.0.0.1).")
    var host: String?

    @Option(help: "The port to listen on; 0 takes a free one (8000).")
    var port: Int?

    @Option(help: "A port of its own for probes and metrics, answered even when every other thread is busy (none).")
    var healthPort: Int?

    @Option(help: "The header that names a request's conversation, for routing by it (X-Session-Id).")
    var sessionHeader: String?

    @Option(help: "The model's name for clients; may be given several times.")
    var servedModelName: [String] = []

    @Option(help: "Most bytes of a request's body (32MiB).")
    var maxBodyBytes: String?

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
        if let name = settings.text("session-header", sessionHeader) {
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 == 0x2D || ($0.isAlphanumeric) }) else {
                throw ValidationError("--session-header must be a header's name, but is `\(name)`.")
            }
            configuration.sessionHeader = name
        }
        if let value = try settings.bytes("max-body-bytes", maxBodyBytes) { configuration.maxBodyBytes = value }
        if let value = try settings.seconds("drain-timeout", drainTimeout) { configuration.drainTimeout = value }
        if let value = try settings.seconds("stall-timeout", stallTimeout) { configuration.stallTimeout = value }
        return configuration
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
