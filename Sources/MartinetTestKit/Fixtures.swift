public import Foundation

/// Files under `Tests/Fixtures`, made by the scripts in `scripts/fixtures`.
public enum Fixtures {
    /// The repository.
    public static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// A file or folder by its path under `Tests/Fixtures`.
    public static func url(_ path: String) -> URL {
        repository.appendingPathComponent("Tests/Fixtures").appendingPathComponent(path)
    }

    /// A file's text.
    public static func text(_ path: String) throws -> String {
        try String(contentsOf: url(path), encoding: .utf8)
    }

    /// A file of JSON.
    public static func json<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: url(path)))
    }
}

/// Why a test's input is not there, and how to get it.
public struct MissingInput: Error, CustomStringConvertible {
    /// What is missing, and how to get it.
    public let description: String
}
