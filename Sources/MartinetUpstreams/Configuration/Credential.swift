#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif
internal import FoundationEssentials
internal import Synchronization

/// The API key of an upstream: from the environment, or from a file that is read again when it changes.
final class Credential: Sendable {
    private struct State {
        var key: String?
        var stamp: FileStamp?
        var checked: ContinuousClock.Instant?
        var problem: String?
    }

    private let file: String?
    private let state = Mutex(State())

    /// Reads the key for the first time.
    ///
    /// - Throws: ``UpstreamConfigurationError`` where the variable or the file does not hold a key.
    init(_ configuration: UpstreamConfiguration, environment: [String: String]) throws {
        file = configuration.keyFile
        if let variable = configuration.keyVariable {
            guard let key = Self.key(in: environment[variable] ?? "") else {
                throw UpstreamConfigurationError(
                    field: "api_key_env", problem: "names \(variable), which holds no key in the environment")
            }
            state.withLock { $0.key = key }
        } else if let file {
            guard let (key, stamp) = Self.read(file) else {
                throw UpstreamConfigurationError(
                    field: "api_key_file", problem: "names \(file), which cannot be read or holds no key")
            }
            state.withLock {
                $0.key = key
                $0.stamp = stamp
            }
        }
    }

    /// The key now; the last good one where the file went bad.
    func key(now: ContinuousClock.Instant) -> String? {
        guard let file else { return state.withLock { $0.key } }
        return state.withLock { state in
            // The file is looked at once a second, not for each request.
            if let checked = state.checked, now - checked < .seconds(1) { return state.key }
            state.checked = now
            guard FileStamp(file) != state.stamp else { return state.key }
            if let (key, stamp) = Self.read(file) {
                state.key = key
                state.stamp = stamp
                state.problem = nil
            } else {
                state.problem = "the key file \(file) cannot be read or holds no key; the last key is used"
            }
            return state.key
        }
    }

    /// What is wrong with the key's file.
    var problem: String? { state.withLock { $0.problem } }

    private static func read(_ file: String) -> (String, FileStamp)? {
        guard let stamp = FileStamp(file), stamp.size <= 16 << 10,
            let data = FileManager.default.contents(atPath: file),
            let key = key(in: String(decoding: data, as: UTF8.self))
        else { return nil }
        return (key, stamp)
    }

    private static func key(in text: String) -> String? {
        let key = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
        guard !key.isEmpty, key.count <= 8192 else { return nil }
        let text = String(key)
        return text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) ? text : nil
    }
}

/// What changes about a file when it is written or replaced.
struct FileStamp: Hashable, Sendable {
    var size: Int
    private var seconds: Int
    private var nanoseconds: Int
    private var inode: UInt64

    /// Looks at a file; `nil` where there is none.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = Int(status.st_size)
        seconds = Int(status.st_mtim.tv_sec)
        nanoseconds = Int(status.st_mtim.tv_nsec)
        inode = UInt64(status.st_ino)
    }
}
