import Foundation
import MartinetStorage
import Testing

/// A folder that goes with the test.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("martinet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var state: String { path + "/state" }
    var database: String { state + "/martinet.db" }

    func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: state + "/files").sorted() }
}

extension Storage {
    /// Keeps a content as a file.
    @discardableResult
    func add(_ id: String, _ content: String, purpose: String = "batch", expires: Int? = nil) async throws -> StoredFile
    {
        let upload = try files.begin(id)
        try await upload.write(Array(content.utf8))
        let file = StoredFile(
            id: id, purpose: purpose, filename: id + ".jsonl", bytes: upload.count, created: 1, expires: expires)
        try await files.add(upload, as: file)
        return file
    }

    func addBatch(_ id: String, input: String = "file-a", document: [UInt8] = [1]) async throws {
        let record = BatchRecord(id: id, input: input, isOver: false, document: document)
        #expect(try await batches.add(record, at: 1, maximumOpen: 1000))
    }
}
