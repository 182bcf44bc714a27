import Foundation
import MartinetStorage
import Testing

/// The folder and the database.
@Suite struct StorageTests {
    @Test func whatWasKeptIsThereAgain() async throws {
        let folder = try TestFolder()
        var storage: Storage? = try await Storage.open(folder: folder.state)
        try await storage?.add("file-a", "content")
        try await storage?.addBatch("batch_a")
        storage = nil
        let again = try await Storage.open(folder: folder.state)
        let file = try #require(try await again.files.file("file-a"))
        #expect(file.bytes == 7 && file.filename == "file-a.jsonl")
        #expect(try await again.files.content(of: file).read(at: 0, count: 100) == Array("content".utf8))
        #expect(try await again.batches.open() == ["batch_a"])
        #expect(again.files.bytes == 7)
    }

    @Test func oneProcessHasTheFolder() async throws {
        let folder = try TestFolder()
        var storage: Storage? = try await Storage.open(folder: folder.state)
        let error = await #expect(throws: StorageError.self) { try await Storage.open(folder: folder.state) }
        #expect(error?.code == .inUse)
        withExtendedLifetime(storage) {}
        storage = nil
        _ = try await Storage.open(folder: folder.state)
    }

    /// The files as they are at a moment of writing: what a killed process leaves.
    @Test func whatWasAcknowledgedSurvivesAnEnd() async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        try await storage.addBatch("batch_a")
        let writing = Task {
            for line in 21...10_000 where !Task.isCancelled { try await storage.add(line, to: "batch_a") }
        }
        for line in 1...20 { try await storage.add(line, to: "batch_a") }
        let copy = try TestFolder()
        try FileManager.default.createDirectory(atPath: copy.state, withIntermediateDirectories: true)
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: folder.database + suffix, toPath: copy.database + suffix)
        }
        writing.cancel()
        try await writing.value
        let copied = try await Storage.open(folder: copy.state)
        let lines = try await copied.batches.answeredLines(of: "batch_a")
        #expect(lines.isSuperset(of: 1...20))
        // Counts and results changed together.
        #expect(try await copied.batches.batch("batch_a")?.completed == lines.count)
    }

    @Test func changesOfOneTransactionFailAlone() async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        try await storage.addBatch("batch_7")
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<50 {
                group.addTask { (try? await storage.addBatch("batch_\(number)")) != nil }
            }
            return await group.reduce(into: [Bool]()) { $0.append($1) }
        }
        // The second of a name is refused, and takes none of the others with it.
        #expect(outcomes.count { !$0 } == 1)
        #expect(try await storage.batches.open().count == 50)
    }

    @Test func aFullDatabaseRefusesAndGoesOn() async throws {
        let folder = try TestFolder()
        var limits = StorageLimits()
        limits.maxTotalBytes = 512 << 10
        let storage = try await Storage.open(folder: folder.state, limits: limits)
        var error: StorageError?
        var kept = 0
        while error == nil, kept < 100 {
            do {
                try await storage.addBatch("batch_\(kept)", document: Array(repeating: 7, count: 64 << 10))
                kept += 1
            } catch let failure as StorageError {
                error = failure
            }
        }
        #expect(error?.code == .full)
        #expect((2..<10).contains(kept))
        #expect(try await storage.batches.open().count == kept)
        _ = try await storage.batches.update("batch_0", at: 1) { record in
            record.isOver = true
            record.document = []
            return true
        }
        try await storage.addBatch("batch_next")
        #expect(try await storage.batches.open().count == kept)
    }

    @Test func aDamagedDatabaseIsNamed() async throws {
        let folder = try TestFolder()
        var storage: Storage? = try await Storage.open(folder: folder.state)
        for number in 0..<200 {
            try await storage?.addBatch("batch_\(number)", document: Array(repeating: 7, count: 40_000))
        }
        storage = nil
        // So much that SQLite has moved most of it from its log into the database.
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder.database))
        #expect(whole.count > 1 << 20)
        // All but the first page, which says what the file is; then that one too.
        for start in [4096, 0] {
            var damaged = whole
            for index in start..<damaged.count { damaged[index] = UInt8(truncatingIfNeeded: index &* 31 | 1) }
            try damaged.write(to: URL(fileURLWithPath: folder.database))
            for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: folder.database + suffix) }
            let error = await #expect(throws: StorageError.self) {
                let storage = try await Storage.open(folder: folder.state)
                _ = try await storage.batches.list(after: nil, limit: 100)
                withExtendedLifetime(storage) {}
            }
            #expect(error?.code == .corrupt, "\(start): \(error?.message ?? "")")
        }
    }

    @Test(arguments: ["/proc/nowhere", "/dev/null/state"]) func anUnusableFolderIsNamed(path: String) async {
        let error = await #expect(throws: StorageError.self) { try await Storage.open(folder: path) }
        #expect(error?.code == .unusable && error?.message.contains("/") == true)
    }

    @Test func aPageOfResponsesIsBounded() async throws {
        let folder = try TestFolder()
        var limits = StorageLimits()
        limits.maxResponses = 5
        limits.maxTotalBytes = 40_000
        let storage = try await Storage.open(folder: folder.state, limits: limits)
        func save(_ id: Int, bytes: Int = 10) async throws {
            try await storage.responses.save(
                ResponseRecord(
                    id: "resp_\(id)", previous: id > 0 ? "resp_\(id - 1)" : nil, model: "tiny", status: "completed",
                    created: 100 + id, input: "[]", output: "[]", body: Array(repeating: 32, count: bytes)))
        }
        func kept() async throws -> [Int] {
            var ids: [Int] = []
            for id in 0..<20 where try await storage.responses.response("resp_\(id)") != nil { ids.append(id) }
            return ids
        }
        for id in 0..<8 { try await save(id) }
        #expect(try await kept() == [3, 4, 5, 6, 7])
        #expect(try await storage.responses.response("resp_4")?.previous == "resp_3")
        // The same id again replaces.
        try await save(7, bytes: 20)
        #expect(try await storage.responses.response("resp_7")?.body.count == 20)
        #expect(try await storage.responses.delete("resp_3"))
        #expect(try await !storage.responses.delete("resp_3"))
        // A quarter of all bytes is theirs; the newest stays whatever its size.
        try await save(8, bytes: 9_990)
        #expect(try await kept() == [8])
        try await save(9, bytes: 20_000)
        #expect(try await kept() == [9])
        try await save(10)
        try await storage.prune(at: 110 + 30 * 24 * 3600)
        #expect(try await kept() == [10])
    }
}

extension Storage {
    fileprivate func add(_ line: Int, to batch: String) async throws {
        try await batches.add(BatchResultRecord(line: line, isError: false, content: [1, 2, 3]), to: batch)
    }
}
