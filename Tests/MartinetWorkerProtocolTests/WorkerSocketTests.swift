import Foundation
import MartinetEngine
import MartinetTestKit
import MartinetWorkerProtocol
import Testing

/// Where workers listen, and who may connect.
@Suite struct WorkerSocketTests {
    @Test func theSocketsFile() async throws {
        let path = WorkerHarness.socketPath()
        let worker = try WorkerHarness(address: .unix(path: path))
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let error = #expect(throws: WorkerProtocolError.self) { try WorkerHarness(address: .unix(path: path)) }
        #expect(error?.code == .addressInUse)
        #expect(try await worker.connect().description.model == "tiny")
        try await worker.end()
    }

    @Test func theFileGoesWithTheServer() async throws {
        let path = WorkerHarness.socketPath()
        do {
            let worker = try WorkerHarness(address: .unix(path: path))
            try await worker.end()
        }
        try await eventually("the file's end") { !FileManager.default.fileExists(atPath: path) }
    }

    @Test func aStaleSocketIsReplaced() async throws {
        let path = WorkerHarness.socketPath()
        // What a killed worker leaves: a file that nobody listens behind.
        let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(left, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        close(left)
        #expect(bound == 0)
        let worker = try WorkerHarness(address: .unix(path: path))
        #expect(try await worker.connect().description.model == "tiny")
        try await worker.end()
    }

    @Test func aFileThatIsNoSocketStays() throws {
        let path = WorkerHarness.socketPath()
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let error = #expect(throws: WorkerProtocolError.self) { try WorkerHarness(address: .unix(path: path)) }
        #expect(error?.code == .addressInUse)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test(arguments: ["", "/tmp/" + String(repeating: "x", count: 103), "/no/such/folder/worker.sock"])
    func pathsThatCannotBe(_ path: String) {
        let error = #expect(throws: WorkerProtocolError.self) { try WorkerHarness(address: .unix(path: path)) }
        #expect([.invalidAddress, .socketFailed].contains(error?.code))
    }

    @Test func nobodyThere() async {
        let error = await #expect(throws: WorkerProtocolError.self) {
            try await WorkerClient.connect(to: .unix(path: WorkerHarness.socketPath()), timeout: .seconds(60))
        }
        #expect(error?.code == .unreachable)
    }

    // MARK: TLS

    static func fixture(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)").path
    }

    static let server = WorkerServerTLS(
        certificatePath: fixture("worker.pem"), keyPath: fixture("worker.key"),
        clientAuthoritiesPath: fixture("authority.pem"))

    static func frontend(_ name: String?, authority: String = "authority") -> WorkerClientTLS {
        WorkerClientTLS(
            authoritiesPath: fixture("\(authority).pem"),
            identity: name.map { .init(certificatePath: fixture("\($0).pem"), keyPath: fixture("\($0).key")) },
            serverName: "localhost")
    }

    @Test func theRightCertificate() async throws {
        let worker = try WorkerHarness(address: .tcp(host: "127.0.0.1", port: 0), tls: Self.server)
        let client = try await WorkerClient.connect(
            to: worker.server.address, tls: Self.frontend("frontend"), timeout: .seconds(60))
        let sink = Recorder()
        let ticket = try client.submit(request(), to: sink)
        #expect(try await sink.ended().tokens[0]?.count == 24)
        withExtendedLifetime(ticket) {}
        try await worker.end()
    }

    @Test(arguments: [
        frontend(nil), frontend("stranger"), frontend("frontend", authority: "stranger-authority"), nil,
    ])
    func theWrongCertificate(_ tls: WorkerClientTLS?) async throws {
        let worker = try WorkerHarness(address: .tcp(host: "127.0.0.1", port: 0), tls: Self.server)
        let error = await #expect(throws: WorkerProtocolError.self) {
            try await WorkerClient.connect(to: worker.server.address, tls: tls, timeout: .seconds(60))
        }
        #expect(error?.code == .unreachable)
        #expect(worker.server.frontendCount == 0)
        // Those who may connect still can.
        let client = try await WorkerClient.connect(
            to: worker.server.address, tls: Self.frontend("frontend"), timeout: .seconds(60))
        #expect(client.description.model == "tiny")
        try await worker.end()
    }

    @Test func certificatesThatAreMissing() async throws {
        let tls = WorkerServerTLS(certificatePath: "/nowhere.pem", keyPath: "/nowhere.key")
        let worker = try WorkerHarness(address: .tcp(host: "127.0.0.1", port: 0), tls: tls)
        let error = await #expect(throws: WorkerProtocolError.self) { try await worker.running.value }
        #expect(error?.code == .socketFailed)
        let clientError = await #expect(throws: WorkerProtocolError.self) {
            try await WorkerClient.connect(
                to: worker.server.address, tls: WorkerClientTLS(authoritiesPath: "/nowhere.pem"))
        }
        #expect(clientError?.code == .invalidAddress)
    }

    @Test func plainTCP() async throws {
        let worker = try WorkerHarness(address: .tcp(host: "localhost", port: 0))
        let client = try await worker.connect()
        #expect(client.description.model == "tiny")
        try await worker.end()
    }
}
