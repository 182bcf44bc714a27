import MartinetAPI
import Synchronization

/// Keeps responses in memory, or fails.
final class MemoryResponseStore: ResponseStore {
    struct Failure: Error {}
    private let state = Mutex<(kept: [String: StoredResponse], isBroken: Bool)>(([:], false))

    init(isBroken: Bool = false) {
        state.withLock { $0.isBroken = isBroken }
    }

    /// What is kept.
    var kept: [StoredResponse] { state.withLock { Array($0.kept.values) } }

    func save(_ response: StoredResponse) async throws {
        try state.withLock { state in
            guard !state.isBroken else { throw Failure() }
            state.kept[response.id] = response
        }
    }

    func response(_ id: String) async throws -> StoredResponse? {
        try state.withLock { state in
            guard !state.isBroken else { throw Failure() }
            return state.kept[id]
        }
    }

    func delete(_ id: String) async throws -> Bool {
        try state.withLock { state in
            guard !state.isBroken else { throw Failure() }
            return state.kept.removeValue(forKey: id) != nil
        }
    }
}
