public import MartinetJSON

extension Batch {
    /// Writes OpenAI's `batch` object.
    public func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("object", "batch")
            writer.field("endpoint", endpoint)
            writer.key("errors")
            writeProblems(to: &writer)
            writer.field("input_file_id", inputFile)
            writer.field("completion_window", completionWindow)
            writer.field("status", status.rawValue)
            writer.field("output_file_id", outputFile)
            writer.field("error_file_id", errorFile)
            writer.field("created_at", created)
            writer.field("in_progress_at", times[.inProgress])
            writer.field("expires_at", expires)
            writer.field("finalizing_at", times[.finalizing])
            writer.field("completed_at", times[.completed])
            writer.field("failed_at", times[.failed])
            writer.field("expired_at", times[.expired])
            writer.field("cancelling_at", times[.cancelling])
            writer.field("cancelled_at", times[.cancelled])
            writer.field("request_counts") { writer in
                writer.object { writer in
                    writer.field("total", counts.total)
                    writer.field("completed", counts.completed)
                    writer.field("failed", counts.failed)
                }
            }
            writer.field("metadata") { writer in
                writer.object { writer in for (key, value) in metadata { writer.field(key, value) } }
            }
        }
    }

    private func writeProblems(to writer: inout JSONWriter) {
        guard !problems.isEmpty else { return writer.value(nil as String?) }
        writer.object { writer in
            writer.field("object", "list")
            writer.field("data") { writer in
                writer.array { writer in
                    for problem in problems {
                        writer.object { writer in
                            writer.field("code", problem.code)
                            writer.field("message", problem.message)
                            writer.field("param", problem.parameter)
                            writer.field("line", problem.line)
                        }
                    }
                }
            }
        }
    }

    /// The `batch` object.
    public var body: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Reads a `batch` object back, as ``body`` wrote it; `nil` where it is no such object.
    public init?(body: [UInt8]) {
        guard let value = try? JSONParser.parse(body), let id = value["id"]?.string,
            let endpoint = value["endpoint"]?.string,
            let input = value["input_file_id"]?.string, let window = value["completion_window"]?.string,
            let status = value["status"]?.string.flatMap(BatchStatus.init), let expires = value["expires_at"]?.integer
        else { return nil }
        (self.id, self.endpoint, inputFile, completionWindow) = (id, endpoint, input, window)
        (self.status, self.expires) = (status, expires)
        times = [:]
        times[.validating] = value["created_at"]?.integer
        for status in BatchStatus.allCases where status != .validating {
            times[status] = value["\(status.rawValue)_at"]?.integer
        }
        outputFile = value["output_file_id"]?.string
        errorFile = value["error_file_id"]?.string
        if case .array(let problems)? = value["errors"]?["data"] {
            self.problems = problems.map { problem in
                BatchProblem(
                    code: problem["code"]?.string ?? "", message: problem["message"]?.string ?? "",
                    parameter: problem["param"]?.string, line: problem["line"]?.integer)
            }
        }
        let counts = value["request_counts"]
        self.counts = BatchCounts(
            total: counts?["total"]?.integer ?? 0, completed: counts?["completed"]?.integer ?? 0,
            failed: counts?["failed"]?.integer ?? 0)
        if case .object(let members)? = value["metadata"] {
            metadata = members.compactMap { member in member.value.string.map { (member.key, $0) } }
        }
    }
}
