import FoundationEssentials

/// A folder that goes with the object.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        // In memory where the system has such a place: thousands of small files are written.
        let root = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : nil
        path = (root ?? FileManager.default.temporaryDirectory.path) + "/martinet-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ bytes: some Sequence<UInt8>, as name: String) throws -> String {
        // Not over the old file: some file systems wait for the disk when a file is shortened and written again.
        try? FileManager.default.removeItem(atPath: "\(path)/\(name)")
        try Data(bytes).write(to: URL(filePath: "\(path)/\(name)"))
        return "\(path)/\(name)"
    }
}
