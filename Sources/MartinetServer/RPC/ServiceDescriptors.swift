internal import Foundation
internal import MartinetInferenceProtocol
internal import SwiftProtobuf

/// The files that declare the services, and what is declared where.
struct ServiceDescriptors: Sendable {
    private struct File: Sendable {
        var bytes: Data
        var imports: [String]
    }

    private var files: [String: File] = [:]
    private var symbols: [String: String] = [:]
    /// The services' full names, sorted.
    private(set) var services: [String] = []

    /// - Throws: where the embedded files cannot be read, which no build that passes its tests has.
    init() throws {
        let set = try Google_Protobuf_FileDescriptorSet(
            serializedBytes: Data(base64Encoded: MartinetInferenceProtocol.serviceDescriptors) ?? Data())
        for file in set.file {
            files[file.name] = File(bytes: try file.serializedBytes(), imports: file.dependency)
            let scope = file.package
            for service in file.service {
                let name = "\(scope).\(service.name)"
                services.append(name)
                symbols[name] = file.name
                for method in service.method { symbols["\(name).\(method.name)"] = file.name }
            }
            for type in file.enumType { symbols["\(scope).\(type.name)"] = file.name }
            for message in file.messageType { add(message, scope: scope, file: file.name) }
        }
        services.sort()
    }

    private mutating func add(_ message: Google_Protobuf_DescriptorProto, scope: String, file: String) {
        let name = "\(scope).\(message.name)"
        symbols[name] = file
        for field in message.field { symbols["\(name).\(field.name)"] = file }
        for type in message.enumType { symbols["\(name).\(type.name)"] = file }
        for nested in message.nestedType { add(nested, scope: name, file: file) }
    }

    /// A file and those that it imports; `nil` where there is none of the name.
    func files(named name: String) -> [Data]? {
        guard files[name] != nil else { return nil }
        var names = [name]
        var bytes: [Data] = []
        // Grows while it is read.
        var index = 0
        while index < names.count {
            if let file = files[names[index]] {
                bytes.append(file.bytes)
                for name in file.imports where !names.contains(name) { names.append(name) }
            }
            index += 1
        }
        return bytes
    }

    /// The file that declares a symbol, and those that it imports; `nil` where nothing declares it.
    func files(declaring symbol: String) -> [Data]? {
        symbols[symbol].flatMap { files(named: $0) }
    }
}
