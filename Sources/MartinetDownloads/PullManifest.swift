import FoundationEssentials

/// What a model's folder holds and where it came from: `.martinet.json` in the folder.
struct PullManifest: Codable, Sendable, Equatable {
    struct File: Codable, Sendable, Equatable {
        var name: String
        var byteCount: Int
        var sha256: String?
    }

    static let name = ".martinet.json"

    /// The argument of `martinet pull`.
    var source: String
    var files: [File]

    static func read(in folder: String) -> PullManifest? {
        guard let data = FileManager.default.contents(atPath: folder + "/" + name), data.count < 4 << 20 else {
            return nil
        }
        return try? JSONDecoder().decode(PullManifest.self, from: data)
    }

    func write(in folder: String) throws(DownloadError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(self).write(to: URL(filePath: folder + "/" + Self.name), options: .atomic)
        } catch {
            throw DownloadError(.storage, "\(folder)/\(Self.name) cannot be written: \(error)")
        }
    }
}
