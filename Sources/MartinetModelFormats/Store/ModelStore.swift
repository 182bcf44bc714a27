import FoundationEssentials

/// The folder where pulled models lie: `<home>/models/<name>/<files>`.
///
/// ```swift
/// let path = try ModelStore().resolve("smollm2")
/// let model = try ModelFile.open(path: path)
/// ```
public struct ModelStore: Sendable {
    /// The folder that holds everything Martinet keeps.
    public let home: String

    /// Names a store.
    ///
    /// - Parameter home: its folder; without one `MARTINET_HOME`, else `~/.cache/martinet`. It need not exist.
    public init(home: String? = nil) {
        let environment = ProcessInfo.processInfo.environment
        func setting(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        self.home = home ?? setting("MARTINET_HOME") ?? (setting("HOME") ?? ".") + "/.cache/martinet"
    }

    /// The folder of all models.
    public var modelsFolder: String { home + "/models" }

    /// The folder of one model, whether or not it exists.
    public func folder(of name: String) -> String { modelsFolder + "/" + name }

    /// Whether a name can be a model's: letters, digits, `.`, `_`, `-`, `+`; at most 128; not beginning with a dot.
    public static func isValidName(_ name: String) -> Bool {
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
                UInt8(ascii: "+"):
                true
            default: false
            }
        }
        return isPlain && (1...128).contains(name.utf8.count) && !name.hasPrefix(".")
    }

    /// A model in the store.
    public struct StoredModel: Sendable, Hashable {
        /// Its name.
        public let name: String
        /// Its folder.
        public let path: String
        /// The names of its files, sorted; those that begin with a dot are left out.
        public let files: [String]
        /// Bytes in all files.
        public let byteCount: Int
    }

    /// All models, sorted by name; none where the store does not exist yet.
    public func list() -> [StoredModel] {
        let manager = FileManager.default
        let names = (try? manager.contentsOfDirectory(atPath: modelsFolder)) ?? []
        return names.sorted().compactMap { name in
            guard Self.isValidName(name) else { return nil }
            let path = folder(of: name)
            guard let files = try? manager.contentsOfDirectory(atPath: path) else { return nil }
            let visible = files.filter { !$0.hasPrefix(".") }.sorted()
            guard !visible.isEmpty else { return nil }
            let sizes = visible.map { file -> Int in
                let resolved = (try? manager.destinationOfSymbolicLink(atPath: path + "/" + file)) ?? file
                let full = resolved.hasPrefix("/") ? resolved : path + "/" + resolved
                return ((try? manager.attributesOfItem(atPath: full))?[.size] as? Int) ?? 0
            }
            return StoredModel(name: name, path: path, files: visible, byteCount: sizes.reduce(0, +))
        }
    }

    /// The path of a model, from its name in the store or from a path.
    ///
    /// A name that is in the store wins over a file of that name in the working directory; write `./name` for the file.
    ///
    /// - Throws: ``ModelFileError`` with `notFound` that says how to get the model.
    public func resolve(_ nameOrPath: String) throws(ModelFileError) -> String {
        let manager = FileManager.default
        if Self.isValidName(nameOrPath) {
            let stored = folder(of: nameOrPath)
            if manager.fileExists(atPath: stored) { return stored }
        }
        if manager.fileExists(atPath: nameOrPath) { return nameOrPath }
        if nameOrPath.contains("/") || nameOrPath.hasSuffix(".gguf") || !Self.isValidName(nameOrPath) {
            let hint = nameOrPath.hasPrefix("hf:") || nameOrPath.hasPrefix("https://")
            throw ModelFileError(
                .notFound, file: nameOrPath,
                hint ? "is not here yet; get it with: martinet pull \(nameOrPath)" : "no such file or folder")
        }
        if Catalogue.entry(named: nameOrPath) != nil {
            throw ModelFileError(
                .notFound, file: nameOrPath, "is not here yet; get it with: martinet pull \(nameOrPath)")
        }
        let known = Set(list().map(\.name) + Catalogue.entries.map(\.name)).sorted().joined(separator: ", ")
        throw ModelFileError(
            .notFound, file: nameOrPath,
            "is no model in the store and not in the catalogue (there are: \(known)); get one with: martinet pull "
                + "hf:OWNER/REPO --name \(nameOrPath)")
    }

    /// Deletes a model.
    ///
    /// - Throws: ``ModelFileError`` where there is none, or the system refuses.
    public func remove(_ name: String) throws(ModelFileError) {
        let path = folder(of: name)
        guard Self.isValidName(name), FileManager.default.fileExists(atPath: path) else {
            throw ModelFileError(.notFound, file: name, "is no model in the store; martinet models lists them")
        }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw ModelFileError(.unreadable, file: path, "cannot be deleted: \(error)")
        }
    }
}
