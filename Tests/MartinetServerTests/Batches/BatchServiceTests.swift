import Foundation
import Logging
import MartinetAPI
import MartinetJSON
import MartinetServer
import MartinetStorage
import MartinetTelemetry
import Synchronization
import Testing

/// A state folder, a clock, and a route that the test speaks for.
private final class BatchFixture: Sendable {
    typealias Call = @Sendable (_ customID: String, _ attempt: Int) async throws -> InternalCalls.Answer

    let path = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)").path
    let time = Mutex(1_000_000)
    let calls = Mutex<[String: Int]>([:])
    let running = Mutex((now: 0, most: 0))

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Opens the storage and works on its batches while an action runs.
    func serve(
        concurrency: Int = 4,
        _ call: @escaping Call = { name, _ in .init(status: 200, body: Array("{\"x\":\"\(name)\"}".utf8)) },
        _ action: (BatchQueue, Storage) async throws -> Void
    ) async throws {
        let storage = try await Storage.open(folder: path)
        let queue = BatchQueue(storage: storage) { [self] in time.withLock(\.self) }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let service = BatchService(
            queue: queue, concurrency: concurrency, maxLineBytes: 1000, registry: MetricsRegistry(), logger: logger
        ) { [self] path, body, _ in
            #expect(path == "/v1/completions")
            let name = try #require(try JSONParser.parse(body)["prompt"]?.string)
            let attempt = calls.withLock { calls in
                calls[name, default: 0] += 1
                return calls[name] ?? 0
            }
            running.withLock { running in
                running.now += 1
                running.most = max(running.most, running.now)
            }
            defer { running.withLock { $0.now -= 1 } }
            return try await call(name, attempt)
        }
        let work = Task { await service.work() }
        let result = await Result { try await action(queue, storage) }
        work.cancel()
        await work.value
        try result.get()
    }

    /// Uploads requests `0`, `1`, … and makes a batch of them.
    func submit(_ count: Int, to queue: BatchQueue, _ storage: Storage, body: String = "") async throws -> Batch {
        let lines = (0..<count).map {
            "{\"custom_id\":\"\($0)\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"\($0)\"\(body)}}"
        }
        let upload = try storage.files.begin("file-in\(count)")
        try await upload.write(Array(lines.joined(separator: "\n").utf8))
        try await storage.files.add(
            upload,
            as: StoredFile(
                id: "file-in\(count)", purpose: "batch", filename: "in", bytes: upload.count, created: 1, expires: nil))
        let request =
            "{\"input_file_id\":\"file-in\(count)\",\"endpoint\":\"/v1/completions\",\"completion_window\":\"24h\"}"
        return try #require(try await queue.submit(BatchRequest(JSONBody(Array(request.utf8)))))
    }

    /// Waits until a batch is as wanted.
    func wait(_ queue: BatchQueue, _ id: String, until isWanted: (Batch) -> Bool = { $0.status.isOver }) async throws
        -> Batch
    {
        let deadline = ContinuousClock.now + .seconds(100)
        while ContinuousClock.now < deadline {
            if let batch = try await queue.batch(id), isWanted(batch) { return batch }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw StorageError(.busy, "the batch did not come so far: \(String(describing: try await queue.batch(id)))")
    }

    /// The lines of a file by `custom_id`; a second one of an id fails the test.
    func lines(_ storage: Storage, _ id: String?) async throws -> [String: JSONValue] {
        guard let id, let file = try await storage.files.file(id) else { return [:] }
        var lines = FileLines(try await storage.files.content(of: file), maximum: 1 << 20)
        var found: [String: JSONValue] = [:]
        while let line = try lines.next() {
            let value = try JSONParser.parse(try #require(line.bytes))
            let name = try #require(value["custom_id"]?.string)
            #expect(found.updateValue(value, forKey: name) == nil, "\(name) stands twice")
        }
        return found
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ action: () async throws -> Success) async {
        do {
            self = .success(try await action())
        } catch {
            self = .failure(error)
        }
    }
}

@Suite(.timeLimit(.minutes(5))) struct BatchServiceTests {
    @Test func answersEveryLine() async throws {
        let fixture = BatchFixture()
        try await fixture.serve(concurrency: 3) { name, attempt in
            switch (name, attempt) {
            case ("1", 1): return .init(status: 429, body: Array("{}".utf8), retryAfter: 0)
            case ("2", ...2): return .init(status: 503, body: Array("{}".utf8))
            case ("3", _): return .init(status: 400, body: Array("{\"error\":{}}".utf8))
            case ("4", _): return .init(status: 200, body: Array("<html>".utf8))
            case ("5", _): return .init(status: 200, body: Array("{\n\"x\":\r\n1}".utf8))
            default:
                try await Task.sleep(for: .milliseconds(1))
                return .init(status: 200, body: Array("{\"x\":1}".utf8))
            }
        } _: { queue, storage in
            let batch = try await fixture.wait(queue, try await fixture.submit(200, to: queue, storage).id)
            #expect(batch.status == .completed)
            #expect(batch.counts == BatchCounts(total: 200, completed: 198, failed: 2))
            let output = try await fixture.lines(storage, batch.outputFile)
            let errors = try await fixture.lines(storage, batch.errorFile)
            #expect(output.count == 198 && Set(errors.keys) == ["3", "4"])
            #expect(output["5"]?["response"]?["body"]?["x"]?.integer == 1)
            #expect(errors["3"]?["response"]?["status_code"]?.integer == 400)
            #expect(errors["4"]?["error"]?["code"]?.string == "invalid_answer")
        }
        let calls = fixture.calls.withLock(\.self)
        #expect(calls["1"] == 2 && calls["2"] == 3 && calls["0"] == 1)
        #expect((2...3).contains(fixture.running.withLock(\.most)))
    }

    @Test func goesOnWhereItEnded() async throws {
        let fixture = BatchFixture()
        let id = Mutex("")
        try await fixture.serve(concurrency: 2) { name, _ in
            // The rest never ends by itself.
            if (Int(name) ?? 0) >= 40 { try await Task.sleep(for: .seconds(1000)) }
            return .init(status: 200, body: Array("{\"x\":1}".utf8))
        } _: { queue, storage in
            let batch = try await fixture.submit(100, to: queue, storage)
            id.withLock { $0 = batch.id }
            _ = try await fixture.wait(queue, batch.id) { $0.counts.completed == 40 }
            while fixture.running.withLock(\.now) < 2 { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(fixture.running.withLock(\.now) == 0)
        try await fixture.serve(concurrency: 2) { queue, storage in
            let batch = try await fixture.wait(queue, id.withLock(\.self))
            #expect(batch.status == .completed && batch.counts.completed == 100)
            #expect(try await fixture.lines(storage, batch.outputFile).count == 100)
        }
        // Only those that were under way were asked twice.
        let calls = fixture.calls.withLock(\.self)
        #expect(calls.count == 100 && calls.values.max() == 2 && calls.values.count { $0 == 2 } == 2)
    }

    @Test func endsWithItsTime() async throws {
        let fixture = BatchFixture()
        try await fixture.serve { name, _ in
            if name == "7" { try await Task.sleep(for: .seconds(1000)) }
            return name == "8" ? .init(status: 503, body: []) : .init(status: 200, body: Array("{\"x\":1}".utf8))
        } _: { queue, storage in
            let begun = try await fixture.submit(10, to: queue, storage)
            _ = try await fixture.wait(queue, begun.id) { $0.counts.completed == 8 }
            fixture.time.withLock { $0 += 24 * 3600 }
            let batch = try await fixture.wait(queue, begun.id)
            #expect(batch.status == .expired)
            #expect(try await fixture.lines(storage, batch.outputFile).count == 8)
            let errors = try await fixture.lines(storage, batch.errorFile)
            #expect(Set(errors.keys) == ["7", "8"] && errors["7"]?["error"]?["code"]?.string == "batch_expired")
        }
    }

    @Test func cancelsAndRefuses() async throws {
        let fixture = BatchFixture()
        try await fixture.serve(concurrency: 1) { name, _ in
            if name == "1" { try await Task.sleep(for: .seconds(1000)) }
            return .init(status: 200, body: Array("{\"x\":1}".utf8))
        } _: { queue, storage in
            let begun = try await fixture.submit(3, to: queue, storage)
            // The only place is taken: another batch waits for it, and can be cancelled too.
            _ = try await fixture.wait(queue, begun.id) { $0.counts.completed == 1 }
            let waiting = try await fixture.submit(2, to: queue, storage)
            _ = try await fixture.wait(queue, waiting.id) { $0.status == .inProgress }
            #expect(try await queue.cancel(waiting.id)?.isChanged == true)
            let idle = try await fixture.wait(queue, waiting.id)
            #expect(idle.status == .cancelled && idle.outputFile == nil)
            #expect(try await fixture.lines(storage, idle.errorFile).count == 2)
            #expect(try await queue.cancel(begun.id)?.isChanged == true)
            let batch = try await fixture.wait(queue, begun.id)
            #expect(try await fixture.lines(storage, batch.outputFile).count == 1)
            #expect(try await fixture.lines(storage, batch.errorFile).count == 2)
            #expect(try await queue.cancel(begun.id)?.isChanged == false)
            #expect(try await queue.cancel("batch_none") == nil)
            // The places are free again.
            let streams = try await fixture.submit(4, to: queue, storage, body: ",\"stream\":true")
            #expect(try await fixture.wait(queue, streams.id).counts.failed == 4)
        }
    }
}
