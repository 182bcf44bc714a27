import Foundation
import MartinetStorage
import Testing

/// Files and their contents.
@Suite struct FileStoreTests {
    @Test func listsInPages() async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        for id in 0..<7 { try await storage.add("file-\(id)", "x", purpose: id == 3 ? "user_data" : "batch") }
        func page(_ after: String?, _ limit: Int, ascending: Bool = false, purpose: String? = nil) async throws
            -> String?
        {
            let page = try await storage.files.list(
                after: after, limit: limit, isAscending: ascending, purpose: purpose)
            return page.map { $0.elements.map { String($0.id.dropFirst(5)) }.joined() + ($0.hasMore ? "+" : "") }
        }
        #expect(try await page(nil, 3) == "654+")
        #expect(try await page("file-4", 3) == "321+")
        #expect(try await page("file-1", 3) == "0")
        #expect(try await page(nil, 3, ascending: true) == "012+")
        #expect(try await page("file-3", 3, ascending: true) == "456")
        #expect(try await page(nil, 6, purpose: "batch") == "654210")
        #expect(try await page("file-none", 3) == nil)
    }

    @Test func whatIsNotKeptIsGone() async throws {
        let folder = try TestFolder()
        var storage: Storage? = try await Storage.open(folder: folder.state)
        var upload = try storage?.files.begin("file-a")
        try await upload?.write(Array(repeating: 7, count: 600_000))
        #expect(storage?.files.bytes == 600_000)
        upload = nil
        #expect(try folder.files() == [])
        #expect(storage?.files.bytes == 0)

        // What a killed process leaves goes at the next start.
        try await storage?.add("file-b", "content")
        storage = nil
        for name in ["file-c", "file-d.partial"] {
            try Data([1]).write(to: URL(fileURLWithPath: folder.state + "/files/" + name))
        }
        let again = try await Storage.open(folder: folder.state)
        #expect(try folder.files() == ["file-b"])
        #expect(again.files.bytes == 7)
    }

    @Test func sizesAreBounded() async throws {
        let folder = try TestFolder()
        var limits = StorageLimits()
        (limits.maxFileBytes, limits.maxTotalBytes) = (1000, 2500)
        let storage = try await Storage.open(folder: folder.state, limits: limits)
        let upload = try storage.files.begin("file-a")
        try await upload.write(Array(repeating: 7, count: 1000))
        let tooLarge = await #expect(throws: StorageError.self) { try await upload.write([7]) }
        #expect(tooLarge?.code == .fileTooLarge)
        try await storage.add("file-b", String(repeating: "x", count: 1000))
        let full = await #expect(throws: StorageError.self) {
            try await storage.add("file-c", String(repeating: "x", count: 501))
        }
        #expect(full?.code == .full)
        try await storage.add("file-d", String(repeating: "x", count: 500))
        guard case .deleted = try await storage.files.delete("file-b") else {
            Issue.record("not deleted")
            return
        }
        try await storage.add("file-e", String(repeating: "x", count: 1000))
        withExtendedLifetime(upload) {}
    }

    @Test func filesOfOpenBatchesStay() async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        for id in ["file-a", "file-b", "file-c"] { try await storage.add(id, "x", expires: id == "file-c" ? nil : 50) }
        try await storage.addBatch("batch_a", input: "file-a")
        guard case .isInput = try await storage.files.delete("file-a") else {
            Issue.record("deleted")
            return
        }
        try await storage.prune(at: 49)
        #expect(try folder.files() == ["file-a", "file-b", "file-c"])
        try await storage.prune(at: 50)
        #expect(try folder.files() == ["file-a", "file-c"])
        _ = try await storage.batches.update("batch_a", at: 60) { record in
            record.isOver = true
            return true
        }
        try await storage.prune(at: 60)
        #expect(try folder.files() == ["file-c"])
        // A batch that is over goes with its time too.
        try await storage.prune(at: 61 + 30 * 24 * 3600)
        #expect(try await storage.batches.batch("batch_a") == nil)
    }

    @Test func resultsCountOnce() async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        try await storage.add("file-a", "x")
        try await storage.addBatch("batch_a")
        for (line, isError) in [(2, false), (1, true), (2, true), (3, false)] {
            let result = BatchResultRecord(line: line, isError: isError, content: [UInt8(line)])
            try await storage.batches.add(result, to: "batch_a")
        }
        let record = try #require(try await storage.batches.batch("batch_a"))
        #expect(record.completed == 2 && record.failed == 1)
        #expect(try await storage.batches.results(of: "batch_a", after: 0).map(\.line) == [1, 2, 3])
        #expect(try await storage.batches.results(of: "batch_a", after: 2).map(\.line) == [3])

        // A change that does not take place leaves no file behind.
        for takesPlace in [false, true] {
            let upload = try storage.files.begin("file-out")
            try await upload.write([1, 2])
            let file = StoredFile(
                id: "file-out", purpose: "batch_output", filename: "o", bytes: 2, created: 1, expires: nil)
            let result = try await storage.batches.update("batch_a", at: 9, adding: [(upload, file)]) { record in
                record.isOver = takesPlace
                return takesPlace
            }
            #expect(result?.isChanged == takesPlace)
            #expect(try folder.files() == (takesPlace ? ["file-a", "file-out"] : ["file-a"]))
        }
        #expect(storage.files.bytes == 3)
        #expect(try await storage.batches.results(of: "batch_a", after: 0).isEmpty)
        // What comes after the end counts for nothing.
        try await storage.batches.add(BatchResultRecord(line: 9, isError: false, content: []), to: "batch_a")
        #expect(try await storage.batches.batch("batch_a")?.completed == 2)
    }

    @Test(
        arguments: [
            ("", []), ("\n\n  \n\t\r\n", []), ("a", ["1a"]), ("a\nb\n", ["1a", "2b"]), ("\n a \n\nb", ["2 a ", "4b"]),
            ("a\r\nb\r\n", ["1a", "2b"]), ("\u{FEFF}a\n\u{FEFF}b", ["1a", "2\u{FEFF}b"]),
            ("12345678901\nb", ["1", "2b"]), ("b\n1234567890\n12345678901", ["1b", "21234567890", "3"]),
        ] as [(String, [String])])
    func lines(text: String, expected: [String]) async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        let file = try await storage.add("file-a", text)
        var lines = FileLines(try await storage.files.content(of: file), maximum: 10)
        var found: [String] = []
        while let line = try lines.next() {
            found.append("\(line.number)" + String(decoding: line.bytes ?? [], as: UTF8.self))
        }
        #expect(found == expected)
    }

    /// Lines longer than what is read at once.
    @Test func longLines() async throws {
        let folder = try TestFolder()
        let storage = try await Storage.open(folder: folder.state)
        let lengths = [262_143, 262_144, 262_145, 1, 700_000, 900_001, 3]
        let text = lengths.map { String(repeating: "x", count: $0) }.joined(separator: "\n")
        let file = try await storage.add("file-a", text)
        var lines = FileLines(try await storage.files.content(of: file), maximum: 900_000)
        for (index, length) in lengths.enumerated() {
            let next = try lines.next()
            let line = try #require(next)
            #expect(line.number == index + 1)
            #expect(line.bytes?.count == (length > 900_000 ? nil : length))
        }
        let end = try lines.next()
        #expect(end == nil)
    }
}
