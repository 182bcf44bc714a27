public import MartinetJSON

/// Reads what is kept of earlier responses.
public struct ResponseHistory: Sendable {
    /// Most responses that one may go on from, in a row.
    static let maximumLength = 1024
    /// Most bytes of their items.
    static let maximumBytes = 64 << 20

    private let store: any ResponseStore

    /// Reads from a store.
    public init(_ store: any ResponseStore) {
        self.store = store
    }

    /// The items of a response and of all that it goes on from, oldest first, and how many bytes they have.
    ///
    /// - Throws: ``APIError`` 400 where one of them is not kept any more, or there are too many.
    public func items(upTo id: String) async throws(APIError) -> (items: [JSONValue], bytes: Int) {
        var turns: [[JSONValue]] = []
        var next: String? = id
        var bytes = 0
        while let id = next {
            guard let response = try await response(id) else {
                throw .invalid(
                    "previous_response_id", "Previous response with id `\(id.prefix(256))` not found.",
                    code: "previous_response_not_found")
            }
            bytes += response.inputItems.utf8.count + response.outputItems.utf8.count
            guard turns.count < Self.maximumLength, bytes <= Self.maximumBytes else {
                throw .invalid(
                    "previous_response_id",
                    "A conversation must have at most \(Self.maximumLength) responses and \(Self.maximumBytes) bytes; "
                        + "begin a new one.",
                    code: "conversation_too_long")
            }
            turns.append(Self.list(response.inputItems) + Self.list(response.outputItems))
            next = response.previousID
        }
        return (turns.reversed().flatMap(\.self), bytes)
    }

    /// A response as it was answered.
    ///
    /// - Throws: ``APIError`` 404 where it is not kept.
    public func body(of id: String) async throws(APIError) -> [UInt8] {
        guard let response = try await response(id) else { throw Self.unknown(id) }
        return response.body
    }

    /// Forgets a response.
    ///
    /// - Returns: what says so.
    /// - Throws: ``APIError`` 404 where it is not kept.
    public func delete(_ id: String) async throws(APIError) -> [UInt8] {
        let wasThere: Bool
        do {
            wasThere = try await store.delete(id)
        } catch {
            throw Self.failure(error)
        }
        guard wasThere else { throw Self.unknown(id) }
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("id", id)
            writer.field("object", "response")
            writer.field("deleted", true)
        }
        return writer.bytes
    }

    /// A page of a response's own input items.
    ///
    /// - Parameters:
    ///   - limit: most items, 1...100.
    ///   - after: the item that the page begins behind.
    ///   - ascending: the oldest first.
    /// - Throws: ``APIError`` 404 where the response is not kept, 400 where the parameters are wrong.
    public func inputItems(
        of id: String, limit: Int, after: String?, ascending: Bool
    ) async throws(APIError) -> [UInt8] {
        guard (1...100).contains(limit) else {
            throw .invalid("limit", "`limit` must be an integer from 1 to 100, got \(limit).", code: "out_of_range")
        }
        guard let response = try await response(id) else { throw Self.unknown(id) }
        var items = Self.list(response.inputItems)
        if !ascending { items.reverse() }
        if let after {
            guard let index = items.firstIndex(where: { $0["id"]?.string == after }) else {
                throw .invalid("after", "`after` must be the id of an input item, got `\(after.prefix(256))`.")
            }
            items.removeFirst(index + 1)
        }
        let page = items.prefix(limit)
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("object", "list")
            writer.field("data") { $0.value(.array(Array(page))) }
            writer.field("first_id", page.first?["id"]?.string)
            writer.field("last_id", page.last?["id"]?.string)
            writer.field("has_more", page.count < items.count)
        }
        return writer.bytes
    }

    /// A request's items as they are kept: each with an id, messages with their parts.
    static func inputItems(_ items: [JSONValue], of id: String) -> String {
        let name = id.drop { $0 != "_" }.dropFirst()
        var writer = JSONWriter()
        writer.array { writer in
            for (index, item) in items.enumerated() { writer.value(kept(item, name: "\(name)_in\(index)")) }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func kept(_ item: JSONValue, name: String) -> JSONValue {
        guard case .object(var members) = item else { return item }
        func set(_ key: String, _ value: JSONValue, ifAbsent: Bool) {
            guard let index = members.firstIndex(where: { $0.key == key }) else {
                return members.append((key: key, value: value))
            }
            if case .null = members[index].value { members[index].value = value }
            if !ifAbsent { members[index].value = value }
        }
        let type = item["type"]?.string ?? "message"
        set("type", .string(type), ifAbsent: true)
        let prefix = ["message": "msg_", "reasoning": "rs_", "function_call": "fc_"][type] ?? "fco_"
        set("id", .string(prefix + name), ifAbsent: true)
        if type == "message", let text = item["content"]?.string {
            let part = item["role"]?.string == "assistant" ? "output_text" : "input_text"
            var content: [(key: String, value: JSONValue)] = [("type", .string(part)), ("text", .string(text))]
            if part == "output_text" { content.append(("annotations", .array([]))) }
            set("content", .array([.object(content)]), ifAbsent: false)
        }
        if type != "reasoning" { set("status", .string("completed"), ifAbsent: true) }
        return .object(members)
    }

    private func response(_ id: String) async throws(APIError) -> StoredResponse? {
        do {
            return try await store.response(id)
        } catch {
            throw Self.failure(error)
        }
    }

    private static func list(_ text: String) -> [JSONValue] {
        guard case .array(let items)? = try? JSONParser.parse(Array(text.utf8)) else { return [] }
        return items
    }

    private static func unknown(_ id: String) -> APIError {
        APIError(status: 404, "Response with id `\(id.prefix(256))` not found.", code: "not_found")
    }

    private static func failure(_ error: any Error) -> APIError {
        APIError(status: 500, "The store failed: \(error).", type: "server_error", code: "storage_failed")
    }
}
