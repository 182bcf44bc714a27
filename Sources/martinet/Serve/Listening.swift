import Foundation
import Logging
import MartinetModels
import MartinetServer
import MartinetStorage
import MartinetWebSocketHTTP
import NIOCore

/// A server on its address, and what keeps it from there.
enum Listening {
    /// Runs a server to its end and says when it is ready.
    static func run(
        _ server: MartinetServer, _ configuration: ServerConfiguration, since begin: ContinuousClock.Instant
    ) async throws {
        do {
            let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
            try await server.run { port in
                Console.output("gRPC       \(host):\(port)")
            } onReady: { port in
                let seconds = String(format: "%.2f", (ContinuousClock.now - begin) / .seconds(1))
                let scheme = configuration.tls == nil ? "http" : "https"
                let places =
                    (configuration.listensOnPort ? ["\(scheme)://\(host):\(port)"] : [])
                    + (configuration.unixSocket.map { ["unix:\($0)"] } ?? [])
                Console.output("Ready in \(seconds) s on \(places.joined(separator: " and "))")
                StartupMemory.release()
            }
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw CommandFailure(
                "Port \(configuration.port) on \(configuration.host) is in use. Stop the program that has it, or choose "
                    + "another with --port.")
        } catch let error as IOError where error.errnoCode == EACCES {
            throw CommandFailure("Port \(configuration.port) needs more rights than this user has; try --port 8000.")
        } catch let error as RPCListenError {
            throw CommandFailure(error.description)
        } catch let error as UnixSocketError {
            throw CommandFailure(error.description)
        } catch let error as ServerCertificates.LoadError {
            throw CommandFailure(error.description)
        } catch let error as SocketAddressError {
            throw CommandFailure("The address \(configuration.host) cannot be used: \(error).")
        }
    }
}

extension FleetSettings {
    /// Starts the fleet and serves it to the end.
    func serve(
        _ flags: ServerFlags, storage: Storage?, configuration: ServerConfiguration, logger: Logger,
        since begin: ContinuousClock.Instant
    ) async throws {
        let fleet = try ServedFleet(executable: Self.executable, logger: logger) {
            let (settings, file) = try flags.settings()
            return try specification(settings, file)
        }
        do {
            try await fleet.start { model in
                guard case .workers(_, let count, _, let options) = model.specification.runner else { return }
                ServeCommand.describe(
                    names: model.specification.names, shape: model.configuration, facts: model.facts, plan: model.plan,
                    options: options, workers: count)
            }
            let http = MartinetServer(
                directory: fleet.directory, fleet: fleet, storage: storage, configuration: configuration, logger: logger
            )
            try await Listening.run(http, configuration, since: begin)
        } catch {
            await fleet.end()
            throw error
        }
        await fleet.end()
    }

    /// The path of this program, for its workers: what lies there when one starts is what it runs.
    private static var executable: String {
        let path =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return path.hasSuffix(" (deleted)") ? String(path.dropLast(10)) : path
    }
}
