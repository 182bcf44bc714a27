internal import MartinetJSON

/// A page of a list in OpenAI's shape.
public enum ListAnswer {
    /// `{"object":"list","data":[…],"first_id","last_id","has_more"}`.
    ///
    /// - Parameters:
    ///   - entries: the ids of the entries, with their JSON.
    ///   - hasMore: whether more come after them.
    public static func body(_ entries: [(id: String, json: [UInt8])], hasMore: Bool) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("object", "list")
            writer.key("data")
            writer.raw("[")
            for (index, entry) in entries.enumerated() {
                if index > 0 { writer.raw(",") }
                writer.raw(entry.json)
            }
            writer.raw("],")
            writer.field("first_id", entries.first?.id)
            writer.field("last_id", entries.last?.id)
            writer.field("has_more", hasMore)
        }
        return writer.bytes
    }

    /// `{"id","object","deleted":true}`.
    public static func deleted(_ id: String, object: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("id", id)
            writer.field("object", object)
            writer.field("deleted", true)
        }
        return writer.bytes
    }
}
