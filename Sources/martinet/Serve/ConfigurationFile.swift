import ArgumentParser
import Foundation
import MartinetFleet
import MartinetServer
import MartinetUpstreams
import Yams

/// What a configuration file says: settings by their flags' names, models, upstreams, and rules between them.
///
/// ```yaml
/// port: 8000
/// models:
///   - name: chat
///     model: smollm2
///     workers: 2
/// ```
struct ConfigurationFile {
    /// A model of the file.
    struct Model {
        var name: String
        /// What `martinet serve` would be given.
        var model: String?
        /// Workers that run already, by address.
        var connect: [String] = []
        var aliases: [String] = []
        /// Settings of this model alone, by their flags' names.
        var settings: [String: String] = [:]
    }

    var settings: [String: String] = [:]
    var models: [Model] = []
    var upstreams: [FleetSpecification.Upstreams] = []
    var rules: RoutingTable?

    /// Whether it names nothing to serve.
    var isEmpty: Bool { models.isEmpty && upstreams.isEmpty }

    /// The names of settings: those of the flags, with underscores.
    private static let knownSettings: Set<String> = {
        Set(
            ServerFlags.settingNames + StorageFlags.settingNames + FleetFlags.settingNames + EngineFlags.settingNames)
    }()

    /// Nothing.
    init() {}

    /// Reads a file.
    ///
    /// - Throws: `ValidationError` that names the file and the entry at fault.
    init(path: String) throws {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ValidationError("The configuration file \(path) cannot be read: \(error.localizedDescription)")
        }
        do {
            try self.init(yaml: text)
        } catch let error as ValidationError {
            throw ValidationError("\(path): \(error.message)")
        } catch {
            throw ValidationError("\(path) is not valid YAML: \(error)")
        }
    }

    init(yaml: String) throws {
        guard let root = try Yams.compose(yaml: yaml) else { return }
        for (key, value) in try Self.members(root, at: "the file") {
            switch key {
            case "models":
                for (index, entry) in try Self.elements(value, at: key).enumerated() {
                    models.append(try Self.model(entry, at: "models[\(index)]"))
                }
            case "upstreams":
                for (index, entry) in try Self.elements(value, at: key).enumerated() {
                    upstreams.append(try Self.upstreams(entry, at: "upstreams[\(index)]"))
                }
            case "rules": rules = try Self.decode(RoutingTable.self, value, at: key)
            default:
                guard Self.knownSettings.contains(key) else {
                    throw ValidationError("`\(key)` is no setting; settings have the names of flags.")
                }
                settings[key] = try Self.scalar(value, at: key)
            }
        }
    }

    /// A pool of other servers: `serves`, the names of models that it answers to, beside the pool's own settings.
    private static func upstreams(_ node: Node, at place: String) throws -> FleetSpecification.Upstreams {
        guard var mapping = node.mapping else { throw ValidationError("\(place) must be a mapping.") }
        guard let names = mapping["serves"] else {
            throw ValidationError("\(place).serves is required: the names of models that the pool answers to.")
        }
        mapping["serves"] = nil
        guard mapping["name"] != nil else { throw ValidationError("\(place).name is required.") }
        let pool = try decode(UpstreamPoolConfiguration.self, .mapping(mapping), at: place)
        do {
            try pool.validate()
        } catch let error as UpstreamConfigurationError {
            throw ValidationError("\(place).\(error)")
        }
        return .init(names: try scalars(names, at: "\(place).serves"), pool: pool)
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ node: Node, at place: String) throws -> Value {
        do {
            return try YAMLDecoder().decode(type, from: try Yams.serialize(node: node))
        } catch let error as UpstreamConfigurationError {
            throw ValidationError("\(place).\(error)")
        } catch let error as DecodingError {
            throw ValidationError("\(place): \(Self.explain(error))")
        }
    }

    private static func explain(_ error: DecodingError) -> String {
        let context: DecodingError.Context? =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): context
            case .keyNotFound(let key, let context):
                .init(codingPath: context.codingPath + [key], debugDescription: context.debugDescription)
            @unknown default: nil
            }
        guard let context else { return "\(error)" }
        if let cause = context.underlyingError as? UpstreamConfigurationError { return "\(cause)" }
        // Some say the place themselves.
        guard !context.debugDescription.contains(": ") else { return context.debugDescription }
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
    }

    private static func model(_ node: Node, at place: String) throws -> Model {
        var model = Model(name: "")
        for (key, value) in try members(node, at: place) {
            switch key {
            case "name": model.name = try scalar(value, at: "\(place).name")
            case "model": model.model = try scalar(value, at: "\(place).model")
            case "connect": model.connect = try scalars(value, at: "\(place).connect")
            case "aliases": model.aliases = try scalars(value, at: "\(place).aliases")
            default:
                guard
                    knownSettings.contains(key)
                        || ["tls_ca", "tls_certificate", "tls_key", "tls_server_name"].contains(key)
                else {
                    throw ValidationError("\(place).\(key) is no setting of a model.")
                }
                model.settings[key] = try scalar(value, at: "\(place).\(key)")
            }
        }
        guard !model.name.isEmpty else { throw ValidationError("\(place).name is required.") }
        guard (model.model != nil) != !model.connect.isEmpty else {
            throw ValidationError(
                "\(place) needs either `model`, to start workers, or `connect`, the addresses of workers that run.")
        }
        return model
    }

    /// The members of a mapping; keys may be spelled with hyphens or underscores.
    private static func members(_ node: Node, at place: String) throws -> [(key: String, value: Node)] {
        guard let mapping = node.mapping else { throw ValidationError("\(place) must be a mapping.") }
        return try mapping.map { key, value in
            guard let key = key.string else { throw ValidationError("\(place) has a key that is no text.") }
            return (key.replacingOccurrences(of: "-", with: "_"), value)
        }
    }

    private static func elements(_ node: Node, at place: String) throws -> [Node] {
        guard let sequence = node.sequence else { throw ValidationError("\(place) must be a list.") }
        return Array(sequence)
    }

    private static func scalar(_ node: Node, at place: String) throws -> String {
        guard let scalar = node.scalar else { throw ValidationError("\(place) must be a single value.") }
        return scalar.string
    }

    private static func scalars(_ node: Node, at place: String) throws -> [String] {
        if let scalar = node.scalar { return [scalar.string] }
        return try elements(node, at: place).map { try scalar($0, at: place) }
    }
}

extension ParsableArguments {
    /// The names of the flags as a configuration file spells them.
    fileprivate static var settingNames: [String] {
        Mirror(reflecting: Self()).children.compactMap(\.label).map { label in
            label.drop { $0 == "_" }.reduce(into: "") { name, character in
                name += character.isUppercase ? "_" + character.lowercased() : String(character)
            }
        }
    }
}
