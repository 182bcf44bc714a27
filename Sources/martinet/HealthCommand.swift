import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// `martinet health`: asks a server how it is; for container health checks.
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Ask a server whether it is healthy; exits 0 when it is, 1 when not.")

    @Option(help: "The server's address (http://127.0.0.1 and MARTINET_PORT or 8000).")
    var url: String?

    @Option(help: "What to ask: health, readyz, livez, startupz.")
    var check = "health"

    @Option(help: "Seconds to wait.")
    var timeout = 5

    func validate() throws {
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout must be from 1 to 3600 seconds.") }
    }

    func run() async throws {
        let port = ProcessInfo.processInfo.environment["MARTINET_PORT"] ?? "8000"
        let base = url ?? "http://127.0.0.1:\(port)"
        let target = (base.hasSuffix("/") ? String(base.dropLast()) : base) + "/" + check
        do {
            let answer = try await HTTPClient.shared.execute(
                HTTPClientRequest(url: target), timeout: .seconds(Int64(timeout)))
            let body = String(buffer: try await answer.body.collect(upTo: 65_536))
            guard answer.status == .ok else {
                throw CommandFailure("\(target) answered \(answer.status.code): \(body)")
            }
            Console.output(body)
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("\(target) does not answer: \(error)")
        }
    }
}
