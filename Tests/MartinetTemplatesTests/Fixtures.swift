import Foundation
import MartinetTemplates

/// What `scripts/fixtures/templates.py` wrote, and the templates it rendered.
enum Fixtures {
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    /// What Python's Jinja2 gave for a template.
    enum Expectation: Equatable {
        case text(String)
        case raised(String)
        case failed

        init(_ value: TemplateValue) {
            switch value {
            case .string(let text): self = .text(text)
            case .object(let members):
                if case .string(let message)? = members.first?.value { self = .raised(message) } else { self = .failed }
            default: self = .failed
            }
        }
    }

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
    static let clock = TemplateClock.fixed(
        .init(year: 2025, month: 3, day: 9, hour: 14, minute: 5, second: 7, microsecond: 123_456))

    static func read(_ name: String) throws -> [TemplateValue] {
        var json = JSON(bytes: Array(try Data(contentsOf: folder.appending(path: name))))
        guard case .array(let members) = try json.value() else { throw Problem(description: "\(name) is no list") }
        return members
    }

    /// The source of a template that the fixtures name.
    static func source(of name: String) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if name.hasPrefix("own:") {
            return try String(
                contentsOf: folder.appending(path: "Templates/" + name.dropFirst("own:".count)), encoding: .utf8)
        }
        if name.hasPrefix("gguf:") {
            let store =
                environment["MARTINET_HOME"].map { URL(filePath: $0) }
                ?? FileManager.default.homeDirectoryForCurrentUser.appending(path: ".cache/martinet")
            return try chatTemplate(store.appending(path: "models/" + name.dropFirst("gguf:".count)))
        }
        let root = folder.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let data = environment["MARTINET_TEST_DATA"].map { URL(filePath: $0) } ?? root.appending(path: ".testdata")
        let file = data.appending(path: "templates").appending(path: name)
        guard let source = try? String(contentsOf: file, encoding: .utf8) else {
            throw Problem(description: "\(file.path) is missing: run scripts/test-data.py")
        }
        return source
    }

    /// The chat template in a GGUF file: the string behind its key, near the file's start.
    private static func chatTemplate(_ file: URL) throws -> String {
        guard let handle = try? FileHandle(forReadingFrom: file) else {
            throw Problem(description: "\(file.path) is missing: run `martinet pull`")
        }
        let head = try handle.read(upToCount: 16 << 20) ?? Data()
        // The key, then the type (8, a string), then the length.
        guard let key = head.range(of: Data("tokenizer.chat_template".utf8)), key.upperBound + 12 <= head.count else {
            throw Problem(description: "\(file.path) has no chat template")
        }
        let length = head[(key.upperBound + 4)..<(key.upperBound + 12)].reversed().reduce(0) { $0 << 8 | Int($1) }
        return String(decoding: head[(key.upperBound + 12)..<(key.upperBound + 12 + length)], as: UTF8.self)
    }
}

extension TemplateValue {
    subscript(key: String) -> TemplateValue? {
        if case .object(let members) = self { members.last { $0.key == key }?.value } else { nil }
    }
    subscript(index: Int) -> TemplateValue? {
        if case .array(let items) = self, items.indices.contains(index) { items[index] } else { nil }
    }
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var items: [TemplateValue] { if case .array(let items) = self { items } else { [] } }
    /// The members of an object as a context.
    var context: [String: TemplateValue] {
        guard case .object(let members) = self else { return [:] }
        return Dictionary(members.map { ($0.key, $0.value) }) { $1 }
    }
}

/// A small JSON reader that keeps the order of keys and tells `1` from `1.0`.
struct JSON {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private var problem: Fixtures.Problem { .init(description: "malformed JSON at byte \(position)") }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == character.asciiValue else { return false }
        position += 1
        return true
    }

    mutating func value() throws -> TemplateValue {
        skipSpace()
        guard position < bytes.count else { throw problem }
        switch Character(UnicodeScalar(bytes[position])) {
        case "{":
            position += 1
            var members: [(key: String, value: TemplateValue)] = []
            while !take("}") {
                if !members.isEmpty, !take(",") { throw problem }
                guard case .string(let key) = try value(), take(":") else { throw problem }
                members.append((key, try value()))
            }
            return .object(members)
        case "[":
            position += 1
            var items: [TemplateValue] = []
            while !take("]") {
                if !items.isEmpty, !take(",") { throw problem }
                items.append(try value())
            }
            return .array(items)
        case "\"":
            let start = position
            position += 1
            while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            position += 1
            let data = Data("[".utf8) + Data(bytes[start..<position]) + Data("]".utf8)
            guard let text = (try JSONSerialization.jsonObject(with: data) as? [String])?.first else { throw problem }
            return .string(text)
        default:
            let start = position
            while position < bytes.count, !",]} \n".utf8.contains(bytes[position]) { position += 1 }
            let word = String(decoding: bytes[start..<position], as: UTF8.self)
            switch word {
            case "null": return .null
            case "true": return .bool(true)
            case "false": return .bool(false)
            default:
                if let integer = Int(word) { return .integer(integer) }
                guard let double = Double(word) else { throw problem }
                return .double(double)
            }
        }
    }
}
