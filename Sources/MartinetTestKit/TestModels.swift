import Foundation
public import MartinetModels

/// Models that tests run: small ones in the repository, real ones in the model store.
public enum TestModels {
    /// The default model, SmolLM2-135M-Instruct in Q4_1.
    public static func smollm2() throws -> String {
        try stored("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", name: "smollm2")
    }

    /// Gemma 3 270M in Q4_K_M.
    public static func gemma3() throws -> String {
        try stored("gemma3-270m/gemma-3-270m-q4_k_m.gguf", name: "gemma3-270m")
    }

    /// The names of the models of random weights: directories, and GGUF files.
    public static let tinyNames = [
        "llama", "llama-rope", "mistral", "qwen2", "gemma3", "llama.gguf", "qwen2.gguf",
    ]

    /// Where a model of random weights lies.
    public static func tiny(_ name: String) -> String { Fixtures.url("tiny").appendingPathComponent(name).path }

    /// A model that loads and runs in milliseconds: llama with random weights, 320 tokens, a context of 512 and a chat
    /// template. What it writes is noise, but always the same noise.
    public static func tinyModel() throws -> LoadedModel {
        try LoadedModel.load(path: tiny("llama.gguf"), name: "tiny")
    }

    private static func stored(_ file: String, name: String) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["MARTINET_HOME"] ?? "\(environment["HOME"] ?? "")/.cache/martinet"
        let path = "\(home)/models/\(file)"
        guard FileManager.default.fileExists(atPath: path) else {
            throw MissingInput(description: "\(path) is missing: run `martinet pull \(name)`")
        }
        return path
    }
}
