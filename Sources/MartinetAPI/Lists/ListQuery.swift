/// Which part of a list a client wants: OpenAI's `limit`, `order` and `after`.
public struct ListQuery: Sendable, Hashable {
    /// Most entries of the answer.
    public var limit: Int
    /// Whether the oldest come first.
    public var isAscending: Bool
    /// The entry before the first.
    public var after: String?

    /// Reads a query's parameters.
    ///
    /// - Parameters:
    ///   - parameter: gives the value of a parameter by its name.
    ///   - limit: how many entries an answer has where the client names no number.
    ///   - maximum: most entries that a client may ask for.
    /// - Throws: ``APIError`` 400 that names the parameter at fault.
    public init(
        limit: Int, maximum: Int, parameter: (String) -> String?
    ) throws(APIError) {
        self.limit = limit
        if let text = parameter("limit") {
            guard let value = Int(text), (1...maximum).contains(value) else {
                throw .invalid("limit", "`limit` must be an integer from 1 to \(maximum), got `\(text.prefix(64))`.")
            }
            self.limit = value
        }
        switch parameter("order") {
        case nil, "desc": isAscending = false
        case "asc": isAscending = true
        case let order?: throw .invalid("order", "`order` must be `asc` or `desc`, got `\(order.prefix(64))`.")
        }
        after = parameter("after")
        if let after, after.utf8.count > 256 {
            throw .invalid("after", "`after` must be the id of an entry of the list.")
        }
    }
}
