internal import Logging
internal import MartinetAPI
internal import MartinetFleet
internal import MartinetJSON
internal import MartinetStorage
internal import MartinetTelemetry

extension BatchService {
    /// Between tries of a request that found the server busy.
    private static let busyBackoff = Backoff(base: .milliseconds(250), maximum: .seconds(30))

    // MARK: Validating

    /// Reads a batch's file and checks every line.
    func validate(_ batch: Batch) async throws {
        guard let file = try await storage.files.file(batch.inputFile) else {
            let problem = BatchProblem(code: "file_not_found", message: "The file is not there any more.")
            _ = try await queue.apply(.refused([problem]), to: batch.id)
            return
        }
        let content = try await storage.files.content(of: file)
        let (endpoint, maximum) = (batch.endpoint, maxLineBytes)
        let event = try await onFileThread { () throws(StorageError) in
            var validation = BatchValidation(endpoint: endpoint)
            var lines = FileLines(content, maximum: maximum)
            while !validation.isDecided, let line = try lines.next() {
                if let bytes = line.bytes {
                    validation.add(bytes, number: line.number)
                } else {
                    validation.add(Self.tooLong(maximum), number: line.number)
                }
            }
            return validation.event
        }
        guard let (changed, _) = try await queue.apply(event, to: batch.id) else { return }
        logger.info(
            "a batch was read",
            metadata: [
                "batch": "\(batch.id)", "status": "\(changed.status.rawValue)", "total": "\(changed.counts.total)",
            ])
    }

    private static func tooLong(_ maximum: Int) -> BatchProblem {
        BatchProblem(code: "line_too_long", message: "A line may have at most \(maximum) bytes.")
    }

    // MARK: Answering

    /// Answers every request that has no answer.
    ///
    /// - Throws: `CancellationError` where that ended first.
    func answer(_ batch: Batch) async throws {
        let answered = try await storage.batches.answeredLines(of: batch.id)
        let input = try await input(of: batch)
        try await withThrowingDiscardingTaskGroup { group in
            var lines = FileLines(input, maximum: maxLineBytes)
            while let line = try await Self.nextLine(&lines) {
                guard !answered.contains(line.number) else { continue }
                try await slots.take()
                group.addTask {
                    defer { slots.give() }
                    try await answer(line, of: batch)
                }
            }
        }
        try Task.checkCancellation()
    }

    private func input(of batch: Batch) async throws(StorageError) -> FileContent {
        guard let file = try await storage.files.file(batch.inputFile) else {
            throw StorageError(.unusable, "The file \(batch.inputFile) is not there any more.")
        }
        return try await storage.files.content(of: file)
    }

    private static func nextLine(_ lines: inout FileLines) async throws(StorageError) -> FileLines.Line? {
        if let line = lines.nextAtHand() { return line }
        let (rest, line) = try await onFileThread { [lines] () throws(StorageError) in
            var lines = lines
            let line = try lines.next()
            return (lines, line)
        }
        lines = rest
        return line
    }

    /// Answers a request and keeps the result.
    private func answer(_ line: FileLines.Line, of batch: Batch) async throws {
        guard let request = line.bytes.flatMap({ try? BatchLine($0, endpoint: batch.endpoint) }) else {
            // Every line was checked; only somebody who changes files by hand gets here.
            throw StorageError(.unusable, "Line \(line.number) of the file \(batch.inputFile) has changed.")
        }
        let name = Self.requestName(batch, line)
        let result = BatchResult(
            id: name, customID: request.customID,
            outcome: try await outcome(of: request, endpoint: batch.endpoint, name: name))
        try await storage.batches.add(
            BatchResultRecord(line: line.number, isError: result.isError, content: result.line), to: batch.id)
        (result.isError ? figures.failed : figures.completed).increment()
    }

    /// `batch_req_…`: the batch's own name and the line's number.
    private static func requestName(_ batch: Batch, _ line: FileLines.Line) -> String {
        "batch_req_\(batch.id.dropFirst("batch_".count))_\(line.number)"
    }

    /// What the route answers to a request, once the server is not too busy for it.
    private func outcome(
        of request: BatchLine, endpoint: String, name: String
    ) async throws -> BatchResult.Outcome {
        guard try !JSONBody(request.body).stream else {
            let error = APIError.unsupported("stream", "`stream` is not supported in a batch.")
            return .answer(status: error.status, requestID: name, body: error.body)
        }
        var attempt = 0
        while true {
            try Task.checkCancellation()
            let answer = try await call(endpoint, request.body, name)
            guard [429, 499, 503].contains(answer.status) else {
                return Self.outcome(answer, name: name)
            }
            try Task.checkCancellation()
            figures.retries.increment()
            var generator = SystemRandomNumberGenerator()
            let pause = Self.busyBackoff.delay(attempt: attempt, using: &generator)
            try await Task.sleep(for: max(pause, .seconds(min(answer.retryAfter ?? 0, 300))))
            attempt += 1
        }
    }

    private static func outcome(_ answer: InternalCalls.Answer, name: String) -> BatchResult.Outcome {
        guard (try? JSONParser.parse(answer.body)) != nil else {
            return .omitted(code: "invalid_answer", message: "The model's server did not answer with JSON.")
        }
        // Outside of its strings JSON may hold new lines; a line of output may not.
        let body = answer.body.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
        return .answer(status: answer.status, requestID: name, body: body)
    }

    // MARK: Writing

    /// Writes the results into files, with a line for each request that has none, and ends the batch.
    func write(_ batch: Batch) async throws {
        var output = BatchOutput(files: storage.files)
        var answered: Set<Int> = []
        var last = 0
        while true {
            let results = try await storage.batches.results(of: batch.id, after: last)
            guard let end = results.last else { break }
            for result in results {
                answered.insert(result.line)
                try await output.write(result.content, isError: result.isError)
            }
            last = end.line
        }
        if batch.isAccepted, answered.count < batch.counts.total { try await writeOmissions(batch, answered, &output) }
        let time = queue.now()
        let files = output.uploads.map { isError, upload in
            StoredFile(
                id: upload.id, purpose: FilePurpose.batchOutput.rawValue,
                filename: "\(batch.id)_\(isError ? "error" : "output").jsonl", bytes: upload.content.count,
                created: time,
                expires: storage.limits.retention.map { time + $0 })
        }
        let event = Batch.Event.written(output: output.uploads[false]?.id, errors: output.uploads[true]?.id)
        let contents = output.uploads.map(\.value.content)
        _ = try await queue.apply(
            event, to: batch.id, adding: Array(zip(contents, files)).map { (upload: $0, file: $1) })
    }

    private func writeOmissions(_ batch: Batch, _ answered: Set<Int>, _ output: inout BatchOutput) async throws {
        guard let input = try? await input(of: batch) else {
            logger.warning(
                "a batch's file is gone: its unanswered lines are not told", metadata: ["batch": "\(batch.id)"])
            return
        }
        let (code, message) = batch.omission
        var lines = FileLines(input, maximum: maxLineBytes)
        while let line = try await Self.nextLine(&lines) {
            guard !answered.contains(line.number),
                let request = line.bytes.flatMap({ try? BatchLine($0, endpoint: batch.endpoint) })
            else { continue }
            let result = BatchResult(
                id: Self.requestName(batch, line), customID: request.customID,
                outcome: .omitted(code: code, message: message))
            try await output.write(result.line, isError: true)
        }
    }
}

/// The files that a batch writes; each begins with its first line.
private struct BatchOutput {
    let files: FileStore
    /// By whether they hold errors.
    var uploads: [Bool: (id: String, content: FileUpload)] = [:]

    init(files: FileStore) {
        self.files = files
    }

    mutating func write(_ line: [UInt8], isError: Bool) async throws(StorageError) {
        if uploads[isError] == nil {
            let id = "file-" + RequestMiddleware.newID()
            uploads[isError] = (id, try files.begin(id, isBounded: false))
        }
        try await uploads[isError]?.content.write(line)
    }
}
