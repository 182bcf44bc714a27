internal import Foundation

/// The folder of this process's sockets to its workers; nobody else may enter it.
final class SocketFolder: Sendable {
    let path: String

    /// Makes the folder, and removes those of processes that are gone.
    ///
    /// - Throws: where it cannot be made.
    init() throws {
        // A socket's path has little room; a deep temporary folder would not fit.
        let given = FileManager.default.temporaryDirectory.path
        let base = given.utf8.count <= 60 ? given : "/tmp"
        for name in (try? FileManager.default.contentsOfDirectory(atPath: base)) ?? [] {
            let parts = name.split(separator: "-")
            guard parts.count == 3, parts[0] == "martinet", let process = Int32(parts[1]), process > 0,
                kill(process, 0) != 0, errno == ESRCH
            else { continue }
            try? FileManager.default.removeItem(atPath: "\(base)/\(name)")
        }
        var template = Array("\(base)/martinet-\(getpid())-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: base])
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The path of a socket.
    func socket(_ name: String) -> String { "\(path)/\(name)" }

    /// Removes the folder.
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
