import Foundation
import Logging
import MartinetTelemetry
import Testing

@Suite struct LogLineTests {
    @Test func jsonIsOneObjectALine() throws {
        let line = StructuredLogHandler.line(
            format: .json, time: "T", level: .warning, label: "l", message: "a \"b\"\n\u{1}c",
            metadata: [
                "n": .stringConvertible(5), "d": .stringConvertible(0.5), "s": "x\ty", "l": ["a", "b"], "o": ["k": "v"],
            ])
        #expect(line.hasSuffix("}\n") && line.dropLast().contains("\n") == false)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["message"] as? String == "a \"b\"\n\u{1}c")
        #expect(object["n"] as? Int == 5)
        #expect(object["d"] as? Double == 0.5)
        #expect(object["s"] as? String == "x\ty")
        #expect(object["l"] as? [String] == ["a", "b"])
    }

    @Test func textCannotForgeLines() {
        let line = StructuredLogHandler.line(
            format: .text, time: "T", level: .info, label: "l", message: "a\nT error forged\u{1B}[2J",
            metadata: ["path": "/x\n y", "plain": "ok"])
        #expect(line == "T info a T error forged [2J path=\"/x\\n y\" plain=ok\n")
    }
}
