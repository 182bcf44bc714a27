import Foundation
import MartinetDownloads
import MartinetModelFormats
import Synchronization
import Testing

@Suite struct ModelPullerTests {
    /// The smallest GGUF file: version 3, no tensors, no metadata.
    static let model: [UInt8] = Array("GGUF".utf8) + [3, 0, 0, 0] + [UInt8](repeating: 0, count: 16)

    private func pull(
        _ text: String, into store: ModelStore, options: ModelPuller.Options = .init()
    ) async throws -> ModelPuller.Outcome {
        let reference = try PullReference(parsing: text)
        return try await ModelDownloader.withClient { downloader in
            try await ModelPuller(store: store, downloader: downloader).pull(reference, options: options)
        }
    }

    @Test func pullsAnAddressOnce() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        try await FileServer.with(["/m/tiny.gguf": .init(body: Self.model)]) { server, address in
            let first = try await pull(address + "/m/tiny.gguf", into: store)
            #expect(first.name == "tiny")
            #expect(!first.wasPresent)
            #expect(store.list().map(\.files) == [["tiny.gguf"]])
            let second = try await pull(address + "/m/tiny.gguf", into: store)
            #expect(second.wasPresent)
            #expect(server.seen.withLock { $0.count } == 1)
            _ = try await pull(address + "/m/tiny.gguf", into: store, options: .init(force: true))
            #expect(server.seen.withLock { $0.count } == 2)
            // The address is another one, the name is taken.
            let error = await #expect(throws: DownloadError.self) {
                try await pull(address + "/tiny.gguf", into: store)
            }
            #expect(error?.code == .exists)
            try Data([1]).write(to: URL(filePath: first.path + "/tiny.gguf"))
            let damaged = await #expect(throws: DownloadError.self) {
                try await pull(address + "/m/tiny.gguf", into: store)
            }
            #expect(damaged?.message.contains("damaged") == true)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: store.modelsFolder).sorted()
        #expect(names == [".lock-tiny", "tiny"])
    }

    @Test func refusesWhatIsNoModel() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        try await FileServer.with(["/page.gguf": .init(body: Array("<html>".utf8))]) { _, address in
            let error = await #expect(throws: DownloadError.self) {
                try await pull(address + "/page.gguf", into: store)
            }
            #expect(error?.message.contains("does not begin with 'GGUF'") == true)
            #expect(store.list().isEmpty)
        }
    }

    @Test func takesLocalFilesAndFolders() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path + "/home")
        let source = folder.path + "/My model.gguf"
        try Data(Self.model).write(to: URL(filePath: source))
        let outcome = try await pull(source, into: store)
        #expect(outcome.name == "My-model")
        guard case .gguf = try ModelFile.open(path: outcome.path) else {
            Issue.record("it is a GGUF file")
            return
        }
        let again = try await pull(source, into: store)
        #expect(again.wasPresent)
        let wrong = await #expect(throws: DownloadError.self) {
            try await pull(source, into: store, options: .init(name: "b", sha256: String(repeating: "a", count: 64)))
        }
        #expect(wrong?.code == .checksumMismatch)
        await #expect(throws: DownloadError.self) { try await pull(source, into: store, options: .init(name: "../b")) }
        await #expect(throws: DownloadError.self) {
            try await pull(source, into: store, options: .init(name: "c", sha256: "12"))
        }
    }

    @Test func oneAtATime() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        var behaviour = FileServer.Behaviour()
        behaviour.statuses = [503]
        behaviour.body = Self.model
        try await FileServer.with(["/t.gguf": behaviour]) { server, address in
            async let first = pull(address + "/t.gguf", into: store)
            // The first pull waits half a second after the busy answer; the second comes in that time.
            while server.seen.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
            let error = await #expect(throws: DownloadError.self) { try await pull(address + "/t.gguf", into: store) }
            #expect(error?.code == .busy)
            #expect(try await first.name == "t")
        }
    }

    @Test(arguments: [
        ("smollm2", "smollm2"), ("hf:Owner/Repo-GGUF", "Repo-GGUF"), ("hf:o/r:sub/m-Q4_K_M.gguf", "m-Q4_K_M"),
        ("hf:o/r@abc:m.gguf", "m"), ("https://example.com/a/b.gguf?x=1", "b"),
    ])
    func readsReferences(text: String, name: String) throws {
        #expect(try PullReference(parsing: text).defaultName == name)
    }

    @Test(arguments: [
        "nothing-such", "hf:", "hf:owner", "hf:a/b/c", "hf:a/b:", "hf:a/../b", "hf:a/b:../../x.gguf", "hf:a/b@:x", "",
        "http://example.com/a.gguf", "ftp://example.com/a.gguf", "https://", "file:///etc/passwd",
    ])
    func refusesReferences(text: String) {
        #expect(throws: DownloadError.self) { try PullReference(parsing: text) }
    }
}
