import Foundation
import MartinetAPI
import MartinetEngine
import MartinetJSON
import Testing

/// An event of a stream that names its events.
struct NamedEvent {
    var name: String
    var data: [String: Any]

    subscript(path: String...) -> Any? {
        var value: Any? = data
        for key in path { value = (value as? [String: Any])?[key] }
        return value
    }
}

extension StreamEncoding {
    /// What a client gets of engine events, up to an error or the end.
    func stream(_ events: [InferenceEvent], error: APIError? = nil) async throws -> [NamedEvent] {
        var encoding = self
        var writer = JSONWriter()
        var usage = Usage()
        for event in events {
            usage.add(event)
            encoding.encode(event, prompt: 0, usage: usage, into: &writer)
        }
        if let error {
            encoding.fail(error, into: &writer)
        } else {
            try await encoding.complete(usage)
            encoding.finish(usage, into: &writer)
        }
        #expect(Self.terminator.isEmpty)
        return try NamedEvent.parse(String(decoding: writer.bytes, as: UTF8.self))
    }
}

extension NamedEvent {
    /// Each event has its name, which its data repeats, and one line of data.
    static func parse(_ text: String) throws -> [NamedEvent] {
        #expect(text.hasSuffix("\n\n"))
        return try text.components(separatedBy: "\n\n").dropLast().map { event in
            let lines = event.components(separatedBy: "\n")
            try #require(lines.count == 2 && lines[0].hasPrefix("event: ") && lines[1].hasPrefix("data: "), "\(event)")
            let data = try #require(
                try JSONSerialization.jsonObject(with: Data(lines[1].dropFirst(6).utf8)) as? [String: Any])
            #expect(data["type"] as? String == String(lines[0].dropFirst(7)))
            return NamedEvent(name: String(lines[0].dropFirst(7)), data: data)
        }
    }
}

/// A JSON object of a body.
func object(_ body: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
}
