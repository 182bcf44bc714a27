internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// Runs as long as there is something to serve with.
struct FleetGuard: Service {
    let fleet: ServedFleet

    func run() async throws { try await fleet.run() }
}

/// Reloads the configuration at SIGHUP.
struct ReloadService: Service {
    let fleet: ServedFleet
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in await UnixSignalsSequence(trapping: .sighup) {
                do {
                    let changes = try await fleet.reload()
                    logger.notice("reloaded", metadata: ["changes": .stringConvertible(changes.count)])
                } catch {
                    logger.error("not reloaded: everything stays as it was", metadata: ["error": "\(error)"])
                }
            }
        }
    }
}
