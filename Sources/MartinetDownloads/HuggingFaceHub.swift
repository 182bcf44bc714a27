import FoundationEssentials
import MartinetModelFormats

/// The Hugging Face hub, or a mirror of it (`HF_ENDPOINT`), with a token (`HF_TOKEN`) for gated models.
package struct HuggingFaceHub: Sendable {
    package var endpoint: String
    package var token: String?

    package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        var endpoint = environment["HF_ENDPOINT"].flatMap { $0.isEmpty ? nil : $0 } ?? "https://huggingface.co"
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        self.endpoint = endpoint
        token = environment["HF_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// A file of a repository.
    package struct File: Sendable, Equatable {
        /// Its path in the repository.
        package var path: String
        package var byteCount: Int?
        /// Known for files in large file storage only.
        package var sha256: String?

        package init(path: String, byteCount: Int? = nil, sha256: String? = nil) {
            self.path = path
            self.byteCount = byteCount
            self.sha256 = sha256
        }

        var name: String { path.lastComponent }
    }

    func url(of file: String, in repository: String, revision: String) -> String {
        // Everything but unreserved characters and slashes is escaped.
        let path = file.utf8.map { byte -> String in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                String(Unicode.Scalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
        return "\(endpoint)/\(repository)/resolve/\(revision)/\(path)"
    }

    /// The downloader with the token, for the hub's own host only.
    func authorized(_ downloader: ModelDownloader) -> ModelDownloader {
        guard let token else { return downloader }
        var downloader = downloader
        downloader.credentials = (ModelDownloader.host(of: endpoint), "Bearer \(token)")
        return downloader
    }

    /// The files of a repository.
    func files(of repository: String, revision: String, downloader: ModelDownloader) async throws -> [File] {
        let body = try await authorized(downloader).fetch(
            "\(endpoint)/api/models/\(repository)/tree/\(revision)?recursive=true", limit: 16 << 20)
        guard let list = (try? body.withUnsafeBytes({ try JSONValue(parsing: $0) }))?.array else {
            throw DownloadError(.badAnswer, "\(endpoint) did not answer with the list of files of \(repository)")
        }
        return list.compactMap { entry in
            guard entry["type"]?.string == "file", let path = entry["path"]?.string else { return nil }
            let digest = entry["lfs"]?["oid"]?.string
            return File(
                path: path, byteCount: entry["size"]?.int,
                sha256: digest.flatMap { FileDigest.isValid($0) ? $0 : nil })
        }
    }

    /// The preferred quantisations, best first, where a repository offers several.
    static let preferences = ["Q4_K_M", "Q8_0", "Q4_0", "Q4_1", "Q4_K_S", "Q5_K_M", "Q6_K", "BF16", "F16"]

    /// The files that make up a model: one GGUF model (all of its parts), or the weights with their JSON files.
    ///
    /// - Parameter wanted: a file's path or name, or `nil` to choose.
    package static func choose(_ wanted: String?, from files: [File], repository: String) throws(DownloadError)
        -> [File]
    {
        let models = files.filter { $0.name.hasSuffix(".gguf") && !$0.name.hasPrefix("mmproj") }
        if let wanted {
            guard let file = files.first(where: { $0.path == wanted }) ?? files.first(where: { $0.name == wanted })
            else {
                let names = (models.isEmpty ? files : models).prefix(12).map(\.path).joined(separator: ", ")
                throw DownloadError(.notFound, "\(repository) has no file '\(wanted)'; it has \(names)")
            }
            return parts(of: file, in: files)
        }
        let firsts = models.filter { parts(of: $0, in: models).first == $0 }
        if firsts.count == 1 { return parts(of: firsts[0], in: models) }
        for preference in preferences {
            if let file = firsts.first(where: { $0.name.uppercased().contains(preference) }) {
                return parts(of: file, in: models)
            }
        }
        guard firsts.isEmpty else {
            let names = firsts.prefix(12).map(\.path).joined(separator: ", ")
            throw DownloadError(
                .invalidReference, "\(repository) has several models; name one as hf:\(repository):FILE, of \(names)")
        }
        let weights = files.filter {
            !$0.path.contains("/") && $0.name.hasPrefix("model") && $0.name.hasSuffix(".safetensors")
        }
        guard !weights.isEmpty, files.contains(where: { $0.path == "config.json" }) else {
            throw DownloadError(.notFound, "\(repository) has neither a GGUF file nor config.json with safetensors")
        }
        let single = weights.first { $0.name == "model.safetensors" }
        let companions = [
            "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
            "special_tokens_map.json",
            "tokenizer.model", "chat_template.jinja", "chat_template.json",
        ]
        return files.filter { companions.contains($0.path) }
            + (single.map { [$0] } ?? files.filter { $0.path == "model.safetensors.index.json" } + weights)
    }

    /// The parts of a split model (`-00001-of-00003`) that a file belongs to, in order; the file alone otherwise.
    static func parts(of file: File, in files: [File]) -> [File] {
        let fields = file.path.split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count >= 4, fields[fields.count - 2] == "of", Int(fields[fields.count - 3]) != nil else {
            return [file]
        }
        let stem = fields.dropLast(3).joined(separator: "-") + "-"
        let end = "-of-" + fields[fields.count - 1]
        return files.filter { other in
            other.path.hasPrefix(stem) && other.path.hasSuffix(end)
                && Int(other.path.dropFirst(stem.count).dropLast(end.count)) != nil
        }.sorted { $0.path < $1.path }
    }
}
