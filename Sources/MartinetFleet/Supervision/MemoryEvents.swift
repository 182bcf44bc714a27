internal import Foundation
internal import Synchronization

/// How often the kernel has killed processes of this process's control group for want of memory.
enum MemoryEvents {
    /// The kills that are accounted for.
    private static let known = Mutex<UInt64?>(nil)

    /// Takes the kills so far as accounted for; call it when a process starts.
    static func begin() {
        let kills = outOfMemoryKills()
        known.withLock { $0 = kills }
    }

    /// Whether there was a kill that nothing accounts for yet; a process that was just killed then does.
    static func takeKill() -> Bool {
        guard let kills = outOfMemoryKills() else { return false }
        return known.withLock { known in
            guard let before = known, kills > before else { return false }
            known = before + 1
            return true
        }
    }

    /// The count so far; `nil` where the kernel does not say.
    private static func outOfMemoryKills() -> UInt64? {
        for path in paths() {
            if let count = count(in: path) { return count }
        }
        return nil
    }

    private static func paths() -> [String] {
        let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        var paths: [String] = []
        for line in groups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            // In a container the group's own path is not visible; its root is the group.
            if parts[0] == "0", parts[1].isEmpty {
                paths += ["/sys/fs/cgroup\(parts[2])/memory.events", "/sys/fs/cgroup/memory.events"]
            } else if parts[1].split(separator: ",").contains("memory") {
                paths += [
                    "/sys/fs/cgroup/memory\(parts[2])/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control",
                ]
            }
        }
        // Counts those of the whole machine, so it comes last.
        return paths + ["/proc/vmstat"]
    }

    private static func count(in path: String) -> UInt64? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("oom_kill ") {
            return UInt64(line.dropFirst("oom_kill ".count))
        }
        return nil
    }
}
