import Foundation
import MartinetBenchmarks
import Testing

@Suite struct LoadReportTests {
    private func record(first: Double, gaps: [Double], tokens: Int? = nil) -> RequestRecord {
        var record = RequestRecord()
        record.promptTokens = 10
        record.completionTokens = tokens
        record.textChunks = gaps.count + 1
        record.firstText = first
        record.lastText = first + gaps.reduce(0, +)
        record.gaps = gaps
        return record
    }

    @Test func figures() throws {
        let records = [
            record(first: 0.1, gaps: [0.01, 0.03], tokens: 3), record(first: 0.3, gaps: [0.5, 0.5], tokens: 3),
            RequestRecord(failure: .timeout), RequestRecord(failure: .status(429, "busy")),
            RequestRecord(failure: .timeout),
        ]
        let report = LoadReport(
            records: records, duration: 2, objectives: try LatencyObjectives(parsing: "ttft:200,tpot:25"))
        #expect(report.completedCount == 2 && report.failedCount == 3)
        #expect(report.failures == ["timeout": 2, "http_429": 1])
        let data = try JSONEncoder().encode(report.json)
        let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        func number(_ name: String) throws -> Double { try #require(json[name] as? Double, "\(name)") }
        #expect(try number("request_throughput") == 1)
        #expect(try number("request_goodput") == 0.5)
        #expect(try number("output_throughput") == 3)
        #expect(try number("total_token_throughput") == 13)
        #expect(abs(try number("mean_ttft_ms") - 200) < 1e-6)
        #expect(abs(try number("median_tpot_ms") - 260) < 1e-6)
        #expect(abs(try number("median_itl_ms") - 265) < 1e-6)
        #expect(abs(try number("p99_e2el_ms") - (140 + 0.99 * 1160)) < 1e-6)
        #expect(json["output_tokens_counted_by"] as? String == "server")
    }

    @Test func nothingCameBack() throws {
        let report = LoadReport(records: [RequestRecord(failure: .connect)], duration: 0)
        let json = String(decoding: try JSONEncoder().encode(report.json), as: UTF8.self)
        #expect(json.contains(#""mean_ttft_ms":null"#) && json.contains(#""request_goodput":null"#))
        #expect(report.latencyRows.allSatisfy { $0.count == 6 })
        #expect(report.rows.contains(["failed: connect", "1"]))
    }

    @Test(arguments: [
        "", "ttft", "ttft:", "ttft:0", "ttft:-5", "ttft:nan", "ttft:1,ttft:2", "itl:5", "ttft:1,", "a:b:c",
    ])
    func objectivesThatCannotBe(text: String) {
        #expect(throws: BenchmarkError.self) { try LatencyObjectives(parsing: text) }
    }

    @Test func objectives() throws {
        let good = record(first: 0.1, gaps: [0.02, 0.02])
        #expect(try LatencyObjectives(parsing: "ttft:100,tpot:20.001,e2el:140.001").areMet(by: good))
        #expect(try !LatencyObjectives(parsing: "ttft:99").areMet(by: good))
        #expect(try !LatencyObjectives(parsing: "tpot:19").areMet(by: good))
        #expect(try !LatencyObjectives(parsing: "e2el:139").areMet(by: good))
        // A single token has no time per token, and a failed request is never good.
        #expect(try LatencyObjectives(parsing: "tpot:0.001").areMet(by: record(first: 9, gaps: [])))
        #expect(try !LatencyObjectives(parsing: "e2el:1e9").areMet(by: RequestRecord(failure: .timeout)))
    }
}
