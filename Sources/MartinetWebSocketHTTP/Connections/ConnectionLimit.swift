internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Counts open connections and says when there are enough: without it, a server that runs out of descriptors stops
/// accepting for good.
package final class ConnectionLimit: Sendable {
    /// Most connections at once.
    package let maximum: Int
    private let count = Atomic<Int>(0)

    /// Allows some connections at once.
    package init(_ maximum: Int) {
        self.maximum = maximum
    }

    /// Connections that are open.
    package var open: Int { count.load(ordering: .relaxed) }

    /// Counts a connection in; pair with ``leave()`` in any case. False where there are too many.
    func enter() -> Bool { count.wrappingAdd(1, ordering: .relaxed).newValue <= maximum }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }

    /// Lets this process open as many files as the system allows it; returns how many that is.
    package static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0 else { return 1024 }
        // More than anybody needs: some systems say infinity.
        let wanted = min(limit.rlim_max, 1 << 20)
        if limit.rlim_cur < wanted {
            limit.rlim_cur = wanted
            if setrlimit(resource, &limit) != 0, getrlimit(resource, &limit) != 0 { return 1024 }
        }
        return Int(min(limit.rlim_cur, 1 << 20))
    }
}
