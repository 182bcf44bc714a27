import Foundation
import MartinetEngine
import MartinetWorkerProtocol
import SwiftProtobuf
import Testing

/// The socket beside gRPC's, on which frontends of the same machine and the worker speak without gRPC.
@Suite struct DirectSocketTests {
    /// A frontend that says whatever a test wants, byte by byte.
    struct RawFrontend: ~Copyable {
        let descriptor: Int32

        init(_ worker: WorkerHarness) throws {
            guard case .unix(let path) = worker.server.address else { throw Timeout(description: "no Unix socket") }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { room in
                for (index, byte) in (path + ".d").utf8.enumerated() { room[index] = byte }
            }
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            let connected = withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            #expect(connected == 0)
        }

        deinit { close(descriptor) }

        func send(_ bytes: [UInt8]) {
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return }
                sent += count
            }
        }

        func send(_ message: WireFrontendMessage) throws {
            let bytes: [UInt8] = try message.serializedBytes()
            send(withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { Array($0) } + bytes)
        }

        /// So many bytes, or fewer where the worker closes the connection.
        func read(_ count: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            var length = 0
            while length < count {
                let got = bytes[length...].withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
                guard got > 0 else { break }
                length += got
            }
            return Array(bytes[..<length])
        }

        func message() throws -> WireWorkerMessage? {
            let head = read(4)
            guard head.count == 4 else { return nil }
            let length = head.enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
            return try WireWorkerMessage(serializedBytes: read(length))
        }
    }

    @Test func carriesRequests() async throws {
        let worker = try WorkerHarness()
        let frontend = try RawFrontend(worker)
        guard case .hello(let hello)? = try frontend.message()?.message else { throw Timeout(description: "hello") }
        #expect(hello.model == "tiny")
        // In two pieces, and two at once.
        let bytes: [UInt8] = try HostilePeerTests.submission(7).serializedBytes()
        let frame = withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { Array($0) } + bytes
        frontend.send(Array(frame.prefix(9)))
        try await Task.sleep(for: .milliseconds(20))
        let second: [UInt8] = try HostilePeerTests.submission(8).serializedBytes()
        frontend.send(
            frame.dropFirst(9) + withUnsafeBytes(of: UInt32(second.count).littleEndian) { Array($0) } + second)
        var ended: Set<UInt64> = []
        while ended.count < 2, let message = try frontend.message() {
            guard case .step(let step) = message.message else { continue }
            var reader = try StepEvents(step, vocabularySize: 1 << 20)
            while let (request, item) = try reader.next() {
                if case .event(let event) = item, case .finished = event.event { ended.insert(request) }
            }
        }
        #expect(ended == [7, 8])
        try await worker.end()
    }

    @Test(arguments: [
        [0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3], [0, 0, 0, 1], [4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), [0, 0, 0, 0],
    ])
    func endsWithWhoSpeaksSomethingElse(_ bytes: [UInt8]) async throws {
        let worker = try WorkerHarness()
        let client = try await worker.connect()
        let frontend = try RawFrontend(worker)
        frontend.send(bytes)
        // One of these is the head of a message within the bounds, whose rest never comes: it holds nobody up.
        if bytes != [0, 0, 0, 1] { while try frontend.message() != nil {} }
        let sink = Recorder()
        let ticket = try client.submit(request(), to: sink)
        #expect(try await sink.ended().finished == [0: .length])
        withExtendedLifetime(ticket) {}
        try await worker.end()
    }

    @Test func waitsForWhoReadsLate() async throws {
        let worker = try WorkerHarness()
        let frontend = try RawFrontend(worker)
        // Far more than a socket holds.
        let count = UInt64(20)
        for number in 0..<count {
            try frontend.send(
                HostilePeerTests.submission(number) {
                    $0.prompt = (0..<500).map { Int32(($0 + Int(number)) % 320) }
                    $0.sampling.promptLogprobs = 20
                    $0.sampling.maxTokens = 1
                })
        }
        try await eventually("the engine's end") {
            let statistics = worker.engine.statistics()
            return statistics.running + statistics.waiting == 0 && statistics.generatedTokens >= count
        }
        var ended: Set<UInt64> = []
        while ended.count < Int(count), let message = try frontend.message() {
            guard case .step(let step) = message.message else { continue }
            var reader = try StepEvents(step, vocabularySize: 1 << 20)
            while let (request, item) = try reader.next() {
                if case .event(let event) = item, case .finished = event.event { ended.insert(request) }
            }
        }
        #expect(ended.count == Int(count))
        try await worker.end()
    }

    @Test func cutsOffWhoNeverReads() async throws {
        var limits = WorkerServer.Limits()
        limits.outboxSize = 1 << 16
        limits.writeTimeout = .milliseconds(500)
        let worker = try WorkerHarness(limits: limits)
        let client = try await worker.connect()
        let frontend = try RawFrontend(worker)
        try await eventually("both frontends") { worker.server.frontendCount == 2 }
        for number in UInt64(0)..<40 {
            try frontend.send(
                HostilePeerTests.submission(number) {
                    $0.prompt = (0..<500).map { Int32(($0 + Int(number)) % 320) }
                    $0.sampling.promptLogprobs = 20
                    $0.sampling.maxTokens = 1
                })
        }
        try await eventually("the end of patience") { worker.server.frontendCount == 1 }
        #expect(client.progress.isConnected)
        withExtendedLifetime(frontend.descriptor) {}
        try await worker.end()
    }

    @Test func itsFileGoesWithTheWorker() async throws {
        let worker = try WorkerHarness()
        guard case .unix(let path) = worker.server.address else { throw Timeout(description: "no Unix socket") }
        _ = try await worker.connect()
        var status = stat()
        #expect(lstat(path + ".d", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        try await worker.end()
    }
}
