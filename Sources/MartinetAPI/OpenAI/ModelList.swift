internal import MartinetJSON

/// `GET /v1/models` and `GET /v1/models/{id}`.
public enum ModelList {
    /// All names of the served models.
    ///
    /// - Parameter elsewhere: names that other servers answer to.
    public static func body(_ models: [ServedModel], elsewhere: [String] = []) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("object", "list")
            writer.field("data") { writer in
                writer.array { writer in
                    for model in models { for name in model.names { write(name, model, to: &writer) } }
                    for name in elsewhere { write(name, nil, to: &writer) }
                }
            }
        }
        return writer.bytes
    }

    /// One model by its name.
    public static func body(_ model: ServedModel, name: String) -> [UInt8] {
        var writer = JSONWriter()
        write(name, model, to: &writer)
        return writer.bytes
    }

    /// One model of another server.
    public static func body(elsewhere name: String) -> [UInt8] {
        var writer = JSONWriter()
        write(name, nil, to: &writer)
        return writer.bytes
    }

    private static func write(_ name: String, _ model: ServedModel?, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", name)
            writer.field("object", "model")
            writer.field("created", model?.created ?? 0)
            writer.field("owned_by", "martinet")
            writer.field("root", model?.root ?? name)
            writer.field("parent", nil as String?)
            if let model { writer.field("max_model_len", model.maxModelLength) }
        }
    }
}
