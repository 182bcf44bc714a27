/// The keys of a mapping in configuration, of which none may be unknown. Its errors say where and what.
struct StrictKeys {
    struct Key: CodingKey {
        var stringValue: String
        var intValue: Int?
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) {
            stringValue = "\(intValue)"
            self.intValue = intValue
        }
    }

    private let container: KeyedDecodingContainer<Key>

    init(_ decoder: any Decoder, _ known: String...) throws {
        do {
            container = try decoder.container(keyedBy: Key.self)
        } catch {
            throw Self.error(decoder.codingPath, "must be a mapping with the keys \(known.joined(separator: ", "))")
        }
        for key in container.allKeys where !known.contains(key.stringValue) {
            throw error(key.stringValue, "is not known; known here: \(known.joined(separator: ", "))")
        }
    }

    /// A key's value; `nil` where it is not there.
    func value<Value: Decodable>(_ key: String, as type: Value.Type = Value.self, _ form: String) throws -> Value? {
        do {
            return try container.decodeIfPresent(Value.self, forKey: Key(stringValue: key))
        } catch DecodingError.dataCorrupted(let context) where context.debugDescription.contains(": ") {
            // It has said so already, closer to the fault.
            throw DecodingError.dataCorrupted(context)
        } catch {
            throw self.error(key, "must be \(form)")
        }
    }

    /// The value of a key that must be there.
    func required<Value: Decodable>(_ key: String, as type: Value.Type = Value.self, _ form: String) throws -> Value {
        guard let value = try value(key, as: type, form) else { throw error(key, "is missing; it must be \(form)") }
        return value
    }

    /// Fails where a key's value is out of range.
    func check(_ holds: Bool, _ key: String, _ form: String) throws {
        guard holds else { throw error(key, "must be \(form)") }
    }

    func error(_ key: String, _ message: String) -> DecodingError {
        Self.error(container.codingPath + [Key(stringValue: key)], message)
    }

    static func error(_ path: [any CodingKey], _ message: String) -> DecodingError {
        var text = ""
        for key in path {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return .dataCorrupted(.init(codingPath: path, debugDescription: "\(text): \(message)"))
    }
}

/// One value, or a list of them.
struct OneOrMany<Value: Decodable>: Decodable {
    var values: [Value]

    init(from decoder: any Decoder) throws {
        if var list = try? decoder.unkeyedContainer() {
            values = []
            while !list.isAtEnd { values.append(try list.decode(Value.self)) }
        } else {
            values = [try decoder.singleValueContainer().decode(Value.self)]
        }
    }
}
