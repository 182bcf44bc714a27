import Foundation
import MartinetTokenizers
import Testing

/// A tokenizer that Python's ids are there for.
struct Reference: Sendable, CustomTestStringConvertible {
    let name: String
    let isJSON: Bool

    static let gguf = [
        "smollm2", "gemma3", "gpt-2", "mpt", "llama-bpe", "qwen2", "starcoder", "refact", "command-r", "llama-spm",
        "phi-3",
    ].map { Reference(name: $0, isJSON: false) }
    static let json = [
        "gpt2", "digits", "llama3", "qwen2", "prepend", "metaspace-first", "metaspace-always", "gemma",
    ].map { Reference(name: "tokenizer-\($0)", isJSON: true) }
    static let small = json + gguf.filter { ["smollm2", "llama-spm"].contains($0.name) }
    static let byteLevel = json.prefix(4) + gguf.filter { ["gpt-2", "llama-bpe", "qwen2"].contains($0.name) }

    var testDescription: String { "\(Self.corpus.count) texts x 2 modes x \(name)" }

    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    static let corpus: [String] = {
        guard let data = try? Data(contentsOf: fixtures.appending(path: "corpus.json")) else { return [] }
        return (try? JSONDecoder().decode([String].self, from: data)) ?? []
    }()

    private var path: URL {
        let environment = ProcessInfo.processInfo.environment
        let home =
            environment["MARTINET_HOME"].map { URL(filePath: $0) }
            ?? FileManager.default.homeDirectoryForCurrentUser.appending(path: ".cache/martinet")
        let data =
            environment["MARTINET_TEST_DATA"].map { URL(filePath: $0) }
            ?? URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".testdata")
        switch name {
        case "smollm2": return home.appending(path: "models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        case "gemma3": return home.appending(path: "models/gemma3-270m/gemma-3-270m-q4_k_m.gguf")
        default: return data.appending(path: "vocabularies/ggml-vocab-\(name).gguf")
        }
    }

    func tokenizer() throws -> any Tokenizer {
        if isJSON {
            let data = try Data(contentsOf: Self.fixtures.appending(path: "\(name).json"))
            return try TokenizerDefinition(tokenizerJSON: data).makeTokenizer()
        }
        try #require(
            FileManager.default.fileExists(atPath: path.path),
            "\(path.path) is missing: vocabularies come by scripts/test-data.py, models by `martinet pull`")
        return try GGUFVocabulary(path).definition().makeTokenizer()
    }

    struct Expectation: Decodable {
        var parse: [[Int32]]
        var asText: [String: [Int32]]
        var decoded: [String]?
        var random: [RandomSequence]?

        struct RandomSequence: Decodable {
            var ids: [Int32]
            var text: String
        }

        func ids(_ index: Int, _ specials: SpecialTokenHandling) -> [Int32] {
            specials == .asText ? asText[String(index)] ?? parse[index] : parse[index]
        }
    }

    func expectation() throws -> Expectation {
        let data = try Data(contentsOf: Self.fixtures.appending(path: "ids-\(name).json"))
        return try JSONDecoder().decode(Expectation.self, from: data)
    }
}

/// A generator whose numbers are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func text(upTo count: Int) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...count, using: &self) {
            let ranges: [ClosedRange<UInt32>] = [
                0x20...0x7e, 0x20...0x7e, 0...0x2ff, 0x300...0xd7ff, 0xe000...0x10ffff,
            ]
            let range = ranges[Int.random(in: 0..<ranges.count, using: &self)]
            let value = UInt32.random(in: range, using: &self)
            if let scalar = Unicode.Scalar(value) { scalars.append(scalar) }
        }
        return String(scalars)
    }
}
