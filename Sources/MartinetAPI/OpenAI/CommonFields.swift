internal import MartinetJSON

/// Fields of OpenAI's API that change nothing here, and those that are refused.
enum CommonFields {
    /// Most members of `metadata`, and most bytes of their names and texts.
    private static let metadataBounds = (count: 16, key: 64 * 4, text: 512 * 4)

    static func take(_ fields: inout FieldReader) throws(APIError) {
        for name in ["user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"] {
            _ = try fields.string(name, maximum: 4096)
        }
        if let request = try fields.string("request_id", maximum: 256), request.isEmpty {
            throw .invalid("request_id", "`request_id` must not be empty.")
        }
        // Hints for the speed of models that read media or that guess ahead by themselves.
        for name in ["mm_processor_kwargs", "media_io_kwargs", "prediction", "prompt_cache_options"] {
            if let value = fields.take(name) {
                guard case .object = value else { throw fields.wrong(name, "an object", got: value) }
            }
        }
        try takeMetadata(&fields)
        // It may ask for answers to be held back.
        if fields.has("moderation") { throw .unsupported("moderation", "`moderation` is not supported.") }
        if try fields.bool("store") == true {
            throw .unsupported("store", "`store` is not supported: answers of this route are not kept.")
        }
    }

    private static func takeMetadata(_ fields: inout FieldReader) throws(APIError) {
        guard let value = fields.take("metadata") else { return }
        guard case .object(let metadata) = value else { throw fields.wrong("metadata", "an object", got: value) }
        guard metadata.count <= metadataBounds.count else {
            throw .invalid(
                "metadata", "`metadata` must have at most \(metadataBounds.count) members, got \(metadata.count).")
        }
        for (key, value) in metadata {
            guard case .string(let text) = value, text.utf8.count <= metadataBounds.text,
                key.utf8.count <= metadataBounds.key
            else {
                throw .invalid(
                    "metadata", "`metadata` must hold strings of up to 512 characters, with names of up to 64.")
            }
        }
    }
}
