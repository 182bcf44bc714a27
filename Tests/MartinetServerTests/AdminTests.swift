import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import MartinetServer
import Synchronization
import Testing

/// A fleet that does what it is told.
private final class ScriptedFleet: FleetControl {
    struct Failure: Error, CustomStringConvertible { let description: String }

    let replaced = Mutex<[String?]>([])

    func models() -> [ModelWorkers] {
        var model = ModelWorkers(
            model: "tiny",
            workers: [
                .init(id: "0", processID: 4711, state: "ready", restarts: 2, outstandingSequences: 3),
                .init(id: "1", processID: nil, state: "restarting", restarts: 5),
            ])
        model.losses = ["killed": 7]
        model.resumptions = ["resumed": 9]
        return [model]
    }

    func replaceWorkers(of model: String?) async throws {
        if model == "none" { throw Failure(description: "There is no model `none`.") }
        replaced.withLock { $0.append(model) }
    }

    func reload() async throws -> [String] { ["tiny: 2 workers"] }
}

@Suite struct AdminTests {
    @Test func routes() async throws {
        let fleet = ScriptedFleet()
        let server = MartinetServer(
            directory: ModelDirectory([]), fleet: fleet, configuration: TestServer.local,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await server.application().test(.live) { client in
            let workers = try await client.execute(uri: "/admin/workers", method: .get)
            let model = (workers.json["models"] as? [[String: Any]])?.first
            let first = (model?["workers"] as? [[String: Any]])?.first
            #expect(first?["pid"] as? Int == 4711)
            #expect(first?["restarts"] as? Int == 2)

            let replaced = try await TestServer.post(client, "/admin/workers/replace?model=tiny", "{}")
            #expect(replaced.status == .ok)
            #expect(fleet.replaced.withLock(\.self) == ["tiny"])
            let failed = try await TestServer.post(client, "/admin/workers/replace?model=none", "{}")
            #expect(failed.status == .internalServerError)
            #expect(failed.error["message"] as? String == "There is no model `none`.")
            let form = try await TestServer.post(
                client, "/admin/reload", "", headers: [.contentType: "application/x-www-form-urlencoded"])
            #expect(form.status == .unsupportedMediaType)
            let wrongMethod = try await client.execute(uri: "/admin/reload", method: .get)
            #expect(wrongMethod.status == .methodNotAllowed)
            let reloaded = try await TestServer.post(client, "/admin/reload", "{}")
            #expect(reloaded.json["changes"] as? [String] == ["tiny: 2 workers"])

            let metrics = try await client.execute(uri: "/metrics", method: .get).text
            for line in [
                "martinet_workers{model_name=\"tiny\",state=\"ready\"} 1",
                "martinet_worker_restarts_total{model_name=\"tiny\"} 7",
                "martinet_worker_losses_total{model_name=\"tiny\",cause=\"killed\"} 7",
                "martinet_stream_resumptions_total{model_name=\"tiny\",outcome=\"resumed\"} 9",
            ] {
                #expect(metrics.contains(line + "\n"), "\(line)")
            }
        }
    }

    @Test func onlyThisMachineIsLetIn() async throws {
        let server = MartinetServer(
            directory: ModelDirectory([]), fleet: ScriptedFleet(), configuration: TestServer.local,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        // A connection without an address, as the router alone has it, is not of this machine.
        try await server.application().test(.router) { client in
            let workers = try await client.execute(uri: "/admin/workers", method: .get)
            #expect(workers.status == .forbidden)
            let reload = try await TestServer.post(client, "/admin/reload", "{}")
            #expect(reload.status == .forbidden)
        }
    }
}
