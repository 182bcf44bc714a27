import Foundation
import MartinetModelFormats
import MartinetModels
import MartinetTestKit
import Testing

/// A copy of a model directory in which files can be replaced; it goes with the object.
final class ModelCopy: Sendable {
    let path: String

    /// An empty folder.
    init() throws {
        // In memory where the system has such a place: thousands of small files are written.
        let root = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : nil
        path = (root ?? FileManager.default.temporaryDirectory.path) + "/martinet-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// A folder with links to the files of a model of random weights.
    convenience init(of name: String) throws {
        try self.init()
        let original = TestModels.tiny(name)
        for file in try FileManager.default.contentsOfDirectory(atPath: original) {
            try FileManager.default.createSymbolicLink(
                atPath: "\(path)/\(file)", withDestinationPath: "\(original)/\(file)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Replaces a file, not what it links to.
    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, as name: String) throws -> String {
        try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
        try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }

    func bytes(of name: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(filePath: "\(path)/\(name)"))) }

    func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }
}

/// A JSON object whose members can be any text, such as numbers that no writer would write.
struct RawObject {
    var members: [String: String]

    init(_ bytes: [UInt8]) throws {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        members = try object.mapValues {
            String(
                decoding: try JSONSerialization.data(withJSONObject: $0, options: [.fragmentsAllowed]), as: UTF8.self)
        }
    }

    var bytes: [UInt8] {
        Array(
            "{\(members.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", "))}".utf8)
    }
}

/// What opening a hostile model came to: the code and the message of a typed error, or nothing where it opened.
func refusal(_ open: () throws -> Void) throws -> (code: String, message: String)? {
    do {
        try open()
        return nil
    } catch let error as ModelError {
        return (error.code.description, error.message)
    } catch let error as ModelFileError {
        return (error.code.description, error.description)
    }
}

/// One lie, and what the error about it must say.
struct Offence: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var code: String
    var mention: String

    func check(_ open: () throws -> Void) throws {
        let refusal = try #require(try refusal(open), "it was accepted")
        #expect(refusal.code == code, "\(refusal.message)")
        #expect(refusal.message.contains(mention), "\(refusal.message)")
    }
}
