/// Keeps answers of `/v1/responses`, so that clients can read them again and later requests can go on from them.
public protocol ResponseStore: Sendable {
    /// Keeps a response; one of the same id is replaced.
    func save(_ response: StoredResponse) async throws
    /// The response of an id; `nil` where there is none.
    func response(_ id: String) async throws -> StoredResponse?
    /// Forgets a response.
    ///
    /// - Returns: whether there was one.
    func delete(_ id: String) async throws -> Bool
}

/// An answer of `/v1/responses` that is kept.
public struct StoredResponse: Sendable, Hashable {
    /// Its name, `resp_…`.
    public var id: String
    /// When it was asked for, in seconds since 1970.
    public var created: Int
    /// The model's name.
    public var model: String
    /// `completed`, `incomplete` or `failed`.
    public var status: String
    /// The response that it goes on from.
    public var previousID: String?
    /// The request's own input: JSON text of an array of items, each with an `id`. What came before is in the response
    /// that ``previousID`` names.
    public var inputItems: String
    /// The output: JSON text of an array of items.
    public var outputItems: String
    /// The whole answer as clients see it, JSON.
    public var body: [UInt8]

    /// Describes an answer.
    public init(
        id: String, created: Int, model: String, status: String, previousID: String? = nil, inputItems: String,
        outputItems: String, body: [UInt8]
    ) {
        self.id = id
        self.created = created
        self.model = model
        self.status = status
        self.previousID = previousID
        self.inputItems = inputItems
        self.outputItems = outputItems
        self.body = body
    }
}
