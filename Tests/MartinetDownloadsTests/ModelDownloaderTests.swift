import Crypto
import Foundation
import MartinetDownloads
import Synchronization
import Testing

@Suite struct ModelDownloaderTests {
    static let digest = SHA256.hash(data: FileServer.file).map { byte in
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()

    private static func limits() -> ModelDownloader.Limits {
        var limits = ModelDownloader.Limits()
        limits.attempts = 3
        limits.firstPause = .milliseconds(5)
        return limits
    }

    /// Downloads `/f.gguf` from a server that behaves so, into an empty folder, as often as `times` says.
    private func download(
        _ behaviour: FileServer.Behaviour, sha256: String? = Self.digest, byteCount: Int? = 300_000,
        prepare: @Sendable @escaping (_ path: String, _ address: String) throws -> Void = { _, _ in },
        check: @Sendable @escaping (_ path: String, _ requests: [FileServer.Seen]) throws -> Void = { _, _ in }
    ) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/f.gguf"
        try await FileServer.with(["/f.gguf": behaviour, "/good.gguf": .init()]) { server, address in
            try prepare(path, address)
            try await ModelDownloader.withClient(limits: Self.limits()) { downloader in
                try await downloader.download(address + "/f.gguf", to: path, byteCount: byteCount, sha256: sha256)
            }
            let bytes = FileManager.default.contents(atPath: path)
            #expect(bytes.map(Array.init) == behaviour.body)
            #expect(!FileManager.default.fileExists(atPath: path + ".partial"))
            #expect(!FileManager.default.fileExists(atPath: path + ".partial.json"))
            try check(path, server.seen.withLock { $0 })
        }
        withExtendedLifetime(folder) {}
    }

    @Test func fetchesAFile() async throws {
        try await download(.init(), check: { _, requests in #expect(requests.count == 1) })
    }

    @Test func fetchesAFileOfUnknownLength() async throws {
        try await download(.init(isChunked: true), byteCount: nil)
    }

    @Test func resumesWhereTheConnectionBroke() async throws {
        try await download(
            .init(cuts: [100_000, 50_000]),
            check: { _, requests in
                #expect(requests.count == 3)
                #expect(requests[0].range == nil)
                // How much of a cut answer arrives is up to the network; that it goes on from there is not.
                let starts = requests.dropFirst().compactMap { $0.range.flatMap { Int($0.dropFirst(6).dropLast()) } }
                #expect(starts.count == 2 && starts[0] > 0 && starts[1] > starts[0])
            })
    }

    @Test func startsAgainWhereRangesAreUnknown() async throws {
        try await download(
            .init(cuts: [100_000], supportsRanges: false),
            check: { _, requests in
                #expect(requests.count == 2)
            })
    }

    @Test(arguments: [nil, Self.digest])
    func goesOnWithoutATagOnlyWhereADigestProvesTheFile(sha256: String?) async throws {
        try await download(
            .init(cuts: [100_000], tag: nil), sha256: sha256,
            check: { _, requests in
                #expect(requests.count == 2)
                #expect((requests[1].range != nil) == (sha256 != nil))
            })
    }

    @Test(arguments: ["\"one\"", "\"other\""])
    func resumesAnEarlierDownloadOfTheSameFile(tag: String) async throws {
        try await download(
            .init(),
            prepare: { path, address in
                // The first third is right only if the file is still the same.
                let isSame = tag == "\"one\""
                let part = isSame ? Array(FileServer.file.prefix(100_000)) : [UInt8](repeating: 9, count: 100_000)
                try Data(part).write(to: URL(filePath: path + ".partial"))
                let origin = ["url": address + "/f.gguf", "validator": tag]
                try JSONEncoder().encode(origin).write(to: URL(filePath: path + ".partial.json"))
            },
            check: { _, requests in
                #expect(requests.count == 1)
                #expect(requests[0].range == "bytes=100000-")
            })
    }

    @Test func ignoresTheRestOfAnotherDownload() async throws {
        try await download(
            .init(),
            prepare: { path, _ in
                try Data([1, 2, 3]).write(to: URL(filePath: path + ".partial"))
                try Data(#"{"url":"https://elsewhere.example/f","validator":"x"}"#.utf8)
                    .write(to: URL(filePath: path + ".partial.json"))
            },
            check: { _, requests in #expect(requests[0].range == nil) })
    }

    @Test func triesAgainWhereTheServerIsBusy() async throws {
        try await download(
            .init(statuses: [503, 429]),
            check: { _, requests in
                #expect(requests.count == 3)
            })
    }

    @Test func followsRedirections() async throws {
        var behaviour = FileServer.Behaviour()
        behaviour.redirect = "/good.gguf"
        try await download(
            behaviour, check: { _, requests in #expect(requests.map(\.path) == ["/f.gguf", "/good.gguf"]) })
    }

    /// A download that must fail: its code, words of its message, and whether the bytes so far are kept.
    private func fails(
        _ behaviour: FileServer.Behaviour, _ code: DownloadError.Code, _ words: String, path name: String = "/f.gguf",
        byteCount: Int? = nil, sha256: String? = nil, requests: Int, keepsPart: Bool = false
    ) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/f.gguf"
        try await FileServer.with(["/f.gguf": behaviour]) { server, address in
            let error = await #expect(throws: DownloadError.self) {
                try await ModelDownloader.withClient(limits: Self.limits()) { downloader in
                    try await downloader.download(address + name, to: path, byteCount: byteCount, sha256: sha256)
                }
            }
            #expect(error?.code == code)
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(FileManager.default.fileExists(atPath: path + ".partial") == keepsPart)
            #expect(server.seen.withLock { $0.count } == requests)
        }
        withExtendedLifetime(folder) {}
    }

    @Test func namesAMissingFile() async throws {
        try await fails(.init(), .notFound, "check the spelling", path: "/absent.gguf", requests: 1)
    }

    @Test(arguments: [401, 403]) func namesARefusal(status: Int) async throws {
        try await fails(.init(statuses: [status]), .forbidden, "HF_TOKEN", requests: 1)
    }

    @Test func givesUpOnABusyServer() async throws {
        try await fails(
            .init(statuses: Array(repeating: 502, count: 9)), .unreachable, "cannot answer now (502)",
            requests: 3)
    }

    @Test func deletesAFileWithAnotherDigest() async throws {
        try await fails(
            .init(), .checksumMismatch, "expected 0000", sha256: String(repeating: "0", count: 64), requests: 1)
    }

    @Test func refusesAnotherSize() async throws {
        try await fails(.init(), .badAnswer, "offers 300000 bytes", byteCount: 299_999, requests: 1)
    }

    @Test func refusesMoreThanTheSize() async throws {
        try await fails(
            .init(isChunked: true), .tooLarge, "more than the 200000 bytes", byteCount: 200_000, requests: 1)
    }

    @Test func refusesEndlessRedirections() async throws {
        var behaviour = FileServer.Behaviour()
        behaviour.redirect = "/f.gguf"
        try await fails(behaviour, .badAnswer, "redirects more than 8 times", requests: 9)
    }

    @Test func refusesToLeaveHTTPS() async throws {
        var behaviour = FileServer.Behaviour()
        behaviour.redirect = "http://example.com/f.gguf"
        try await fails(behaviour, .invalidReference, "https is needed", requests: 1)
    }

    @Test func saysWhereNoServerListens() async throws {
        let folder = try TemporaryFolder()
        let error = await #expect(throws: DownloadError.self) {
            try await ModelDownloader.withClient(limits: Self.limits()) { downloader in
                try await downloader.download("http://127.0.0.1:9/f.gguf", to: folder.path + "/f.gguf")
            }
        }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("127.0.0.1:9") == true)
    }
}
