package import Logging
package import MartinetAPI
package import MartinetStorage

/// Answers of `/v1/responses` in the database.
package struct DatabaseResponseStore: ResponseStore {
    private let storage: Storage
    private let gate: StorageGate

    /// Keeps answers in a storage; its failures go to the log.
    package init(_ storage: Storage, logger: Logger) {
        self.storage = storage
        gate = StorageGate(logger: logger)
    }

    package func save(_ response: StoredResponse) async throws {
        try await gate {
            try await storage.responses.save(
                ResponseRecord(
                    id: response.id, previous: response.previousID, model: response.model, status: response.status,
                    created: response.created, input: response.inputItems, output: response.outputItems,
                    body: response.body))
        }
    }

    package func response(_ id: String) async throws -> StoredResponse? {
        try await gate {
            try await storage.responses.response(id).map { record in
                StoredResponse(
                    id: record.id, created: record.created, model: record.model, status: record.status,
                    previousID: record.previous, inputItems: record.input, outputItems: record.output,
                    body: record.body)
            }
        }
    }

    package func delete(_ id: String) async throws -> Bool {
        try await gate { try await storage.responses.delete(id) }
    }
}
