import Foundation
import MartinetFleet
import MartinetUpstreams
import NIOCore
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2))) struct DiscoveryTests {
    @Test func aFileIsWatched() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("members-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let first = MockServer { try CountingModel(pause: .milliseconds(20)).answer($0) }
        let second = MockServer { _ in MockServer.json() }
        try await MockServer.with([first, second]) { urls in
            try Data("# members\n\n\(urls[0])/v1\n".utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
            try await withPool(
                [""], runs: true,
                each: { upstream, _ in
                    upstream.name = nil
                    upstream.discovery = .file
                    upstream.membersFile = file
                    upstream.refreshInterval = .milliseconds(20)
                }
            ) { pool in
                try await eventually("no member") { pool.snapshot().members.count == 1 }
                let stream = try await pool.send(request(streamRequest))
                for broken in ["\(urls[0])\nnonsense\n", "", "ftp://x/\n"] {
                    try Data(broken.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
                    try await eventually("not reported") { !pool.snapshot().discoveryProblems.isEmpty }
                    #expect(pool.snapshot().members.count == 1)
                }
                try FileManager.default.removeItem(atPath: file)
                try await eventually("not reported") {
                    pool.snapshot().discoveryProblems.values.contains { $0.contains("cannot be read") }
                }
                try Data("\(urls[1])\n".utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
                try await eventually("not replaced") { pool.snapshot().members.map(\.url) == [urls[1]] }
                #expect(pool.snapshot().discoveryProblems.isEmpty)
                #expect(try await pool.send(request()).text == MockServer.completion)
                // The member that left ends its stream.
                #expect(try await stream.collect().text == CountingModel.text(0..<30))
            }
        }
    }

    @Test func aNameIsLookedUp() async throws {
        let box = Addresses()
        let server = MockServer { _ in MockServer.json() }
        try await MockServer.with([server]) { urls in
            let port = urls[0].split(separator: ":").last ?? ""
            try await withPool(
                ["http://workers.internal:\(port)/v1"], runs: true,
                lookup: AddressLookup { host in
                    guard host == "workers.internal", let found = box.now else {
                        throw AddressLookup.Failure("SERVFAIL")
                    }
                    return found
                },
                each: { upstream, _ in
                    upstream.discovery = .dns
                    upstream.refreshInterval = .milliseconds(20)
                }
            ) { pool in
                try await eventually("no member") { pool.snapshot().members.count == 1 }
                _ = try await pool.send(request())
                box.now = ["127.0.0.1", "::1"]
                try await eventually("no second member") {
                    pool.snapshot().members.map(\.id).sorted() == ["up0/127.0.0.1:\(port)", "up0/[::1]:\(port)"]
                }
                #expect(pool.snapshot().members.first { $0.id == "up0/127.0.0.1:\(port)" }?.requests == 1)
                for bad in [nil, []] as [[String]?] {
                    box.now = bad
                    try await eventually("not reported") { !pool.snapshot().discoveryProblems.isEmpty }
                    #expect(pool.snapshot().members.count == 2)
                }
                box.now = ["::1"]
                try await eventually("still there") { pool.snapshot().members.count == 1 }
            }
            #expect(server.calls.first?.headers["host"] == "workers.internal:\(port)")
        }
    }

    private final class Addresses: Sendable {
        private let state = Mutex<[String]?>(["127.0.0.1"])
        var now: [String]? {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    @Test func theSystemKnowsThisMachine() async throws {
        let found = try await AddressLookup.system.addresses("localhost")
        #expect(found.contains("127.0.0.1") || found.contains("::1"))
        await #expect(throws: AddressLookup.Failure.self) {
            try await AddressLookup.system.addresses("no-such-name.invalid")
        }
    }
}
