import MartinetAPI
import MartinetJSON
import Testing

/// The batch's way through its states.
@Suite struct BatchTests {
    static func batch() throws -> Batch {
        let body = """
            {"input_file_id":"file-a","endpoint":"/v1/completions","completion_window":"24h","metadata":{"a":"b"}}
            """
        return Batch(id: "batch_a", request: try BatchRequest(JSONBody(Array(body.utf8))), at: 1000)
    }

    static let problem = BatchProblem(code: "empty_file", message: "The file holds no requests.", line: 3)

    /// A batch in each state.
    static func batch(in status: BatchStatus) throws -> Batch {
        let events: [Batch.Event] =
            switch status {
            case .validating: []
            case .failed: [.refused([problem])]
            case .inProgress: [.accepted(requests: 3)]
            case .finalizing: [.accepted(requests: 3), .answered]
            case .completed: [.accepted(requests: 3), .answered, .written(output: "file-o", errors: nil)]
            case .expired: [.accepted(requests: 3), .written(output: nil, errors: "file-e")]
            case .cancelling: [.accepted(requests: 3), .cancelled]
            case .cancelled: [.accepted(requests: 3), .cancelled, .written(output: nil, errors: nil)]
            }
        var batch = try batch()
        for (index, event) in events.enumerated() { batch.apply(event, at: 1001 + index) }
        #expect(batch.status == status)
        return batch
    }

    @Test(arguments: BatchStatus.allCases) func readsBackWhatItWrote(status: BatchStatus) throws {
        var batch = try Self.batch(in: status)
        batch.counts = BatchCounts(total: 3, completed: 2, failed: 1)
        let again = try #require(Batch(body: batch.body))
        #expect(again.body == batch.body)
        #expect(again.status == status && again.created == 1000 && again.expires == 1000 + 24 * 3600)
        #expect(again.isAccepted == (status != .validating && status != .failed))
        #expect(again.metadata.map(\.key) == ["a"] && again.problems == (status == .failed ? [Self.problem] : []))
    }

    @Test(arguments: BatchStatus.allCases) func takesOnlyEventsOfItsState(status: BatchStatus) throws {
        let events: [(Batch.Event, [BatchStatus: BatchStatus])] = [
            (.accepted(requests: 3), [.validating: .inProgress]), (.refused([Self.problem]), [.validating: .failed]),
            (.answered, [.inProgress: .finalizing]),
            (.cancelled, [.validating: .cancelling, .inProgress: .cancelling]),
            (
                .written(output: "o", errors: "e"),
                [.validating: .expired, .inProgress: .expired, .finalizing: .completed, .cancelling: .cancelled]
            ),
        ]
        for (event, transitions) in events {
            var batch = try Self.batch(in: status)
            let before = batch.body
            let expected = transitions[status]
            let isChanged = batch.apply(event, at: 5000)
            #expect(isChanged == (expected != nil))
            #expect(batch.status == expected ?? status)
            if let expected { #expect(batch.times[expected] == 5000) } else { #expect(batch.body == before) }
        }
    }

    @Test func knowsWhatIsNext() throws {
        let end = 1000 + 24 * 3600
        let steps: [(BatchStatus, Batch.Step, atEnd: Batch.Step)] = [
            (.validating, .validate, .write), (.inProgress, .execute, .write), (.finalizing, .write, .write),
            (.cancelling, .write, .write), (.completed, .none, .none), (.failed, .none, .none),
            (.expired, .none, .none), (.cancelled, .none, .none),
        ]
        for (status, step, atEnd) in steps {
            let batch = try Self.batch(in: status)
            #expect(batch.next(at: end - 1) == step && batch.next(at: end) == atEnd)
            #expect(batch.status.isOver == (step == .none))
        }
    }

    @Test(arguments: ["", "{}", "[1]", "{\"id\":\"a\"}", "{\"id\":3,\"status\":\"odd\"}"])
    func whatIsNoBatchIsNone(text: String) { #expect(Batch(body: Array(text.utf8)) == nil) }

    @Test func countsItsRequests() {
        var validation = BatchValidation(endpoint: "/v1/completions")
        func line(_ id: Int) -> [UInt8] {
            Array("{\"custom_id\":\"\(id)\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{}}".utf8)
        }
        for number in 1...BatchValidation.maximumRequests { validation.add(line(number), number: number) }
        #expect(validation.event == .accepted(requests: BatchValidation.maximumRequests) && !validation.isDecided)
        validation.add(line(0), number: 50_001)
        #expect(validation.isDecided)
        guard case .refused(let problems) = validation.event else {
            Issue.record("it was accepted")
            return
        }
        #expect(problems.map(\.code) == ["too_many_requests"])
    }

    @Test func tellsABoundedNumberOfProblems() {
        var validation = BatchValidation(endpoint: "/v1/completions")
        var count = 0
        while !validation.isDecided, count < 1000 {
            count += 1
            validation.add(Array("{}".utf8), number: count)
        }
        #expect(count == 100)
    }

    @Test func writesResults() throws {
        let answer = BatchResult(
            id: "r", customID: "a\"b\n", outcome: .answer(status: 200, requestID: "q", body: Array("{\"x\":[1]}".utf8)))
        #expect(
            String(decoding: answer.line, as: UTF8.self) == """
                {"id":"r","custom_id":"a\\"b\\n","response":{"status_code":200,"request_id":"q","body":{"x":[1]}},"error":null}

                """)
        #expect(!answer.isError)
        let omitted = BatchResult(id: "r", customID: "a", outcome: .omitted(code: "batch_expired", message: "late"))
        #expect(omitted.isError)
        #expect(try JSONParser.parse(omitted.line)["error"]?["code"]?.string == "batch_expired")
        #expect(
            BatchResult(id: "r", customID: "a", outcome: .answer(status: 404, requestID: "q", body: [])).isError)
    }
}
