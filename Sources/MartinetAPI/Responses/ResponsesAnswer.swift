public import MartinetEngine
public import MartinetJSON
internal import MartinetTemplates
internal import MartinetTokenizers

/// Encodes answers of `/v1/responses`, and keeps those that are to be kept.
public struct ResponsesAnswer: Sendable {
    private let id: String
    private let created: Int
    private let clock: @Sendable () -> Int
    private let model: ServedModel
    private let request: ResponsesRequest
    private let store: (any ResponseStore)?
    private var reader: TurnReader
    private var output: [ResponseOutput] = []
    private var ending = TurnFinish.abort
    private var isStarted = false
    /// Whether the last item is still being written.
    private var isOpen = false
    /// The number of the next event.
    private var number = 0
    /// White space that becomes text only where more text follows.
    private var space = ""
    /// Log probabilities of tokens whose text is still to come.
    private var pending: [TokenLogprobs] = []

    /// An encoder for the answer to one request.
    ///
    /// - Parameters:
    ///   - id: the response's name, `resp_…`.
    ///   - clock: the seconds since 1970.
    ///   - reader: of the request's turn.
    ///   - store: where the answer is kept, where the request wants that.
    public init(
        id: String, clock: @escaping @Sendable () -> Int, request: ResponsesRequest, reader: TurnReader,
        model: ServedModel, store: (any ResponseStore)?
    ) {
        self.id = id
        self.clock = clock
        created = clock()
        self.request = request
        self.reader = reader
        self.model = model
        self.store = request.isStored ? store : nil
    }

    /// The whole answer, kept where the request wants that.
    public mutating func body(_ result: InferenceResult) async throws(APIError) -> [UInt8] {
        let turn = result.outputs.first.map(reader.turn) ?? Turn()
        if !turn.reasoning.isEmpty { begin(.reasoning, text: turn.reasoning) }
        if turn.text.contains(where: { !$0.isWhitespace }) || (turn.calls.isEmpty && !turn.text.isEmpty) {
            begin(.message, text: turn.text)
            // Which tokens are the text's is known where there is nothing else.
            if output.count == 1, turn.calls.isEmpty { output[0].logprobs = result.outputs[0].logprobs }
        }
        for call in turn.calls { begin(.call(id: call.id, name: call.name), text: call.arguments) }
        ending = turn.finish
        cutLast()
        let usage = Usage([result])
        try await complete(usage)
        return object(usage)
    }

    private mutating func begin(_ kind: ResponseOutput.Kind, text: String = "") {
        let prefix =
            switch kind {
            case .reasoning: "rs_"
            case .message: "msg_"
            case .call: "fc_"
            }
        let name = id.drop { $0 != "_" }.dropFirst()
        output.append(ResponseOutput(id: "\(prefix)\(name)_\(output.count)", kind: kind, text: text))
    }

    private mutating func cutLast() {
        if ending == .length, !output.isEmpty { output[output.count - 1].isCut = true }
    }

    private var status: String { ending == .length ? "incomplete" : "completed" }

    /// The response as it is.
    ///
    /// - Parameters:
    ///   - usage: what it took; `nil` while it is not at its end.
    ///   - error: why it failed.
    private func object(_ usage: Usage?, error: APIError? = nil) -> [UInt8] {
        let isOver = usage != nil || error != nil
        let status = error != nil ? "failed" : isOver ? status : "in_progress"
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("id", id)
            writer.field("object", "response")
            writer.field("created_at", created)
            writer.field("status", status)
            writer.field("completed_at", status == "completed" ? clock() : nil)
            writer.field("background", false)
            writer.field("error") { writer in
                guard let error else { return writer.value(nil as String?) }
                writer.object { writer in
                    writer.field("code", error.status == 429 ? "rate_limit_exceeded" : "server_error")
                    writer.field("message", error.message)
                }
            }
            writer.field("incomplete_details") { writer in
                guard status == "incomplete" else { return writer.value(nil as String?) }
                writer.object { $0.field("reason", "max_output_tokens") }
            }
            writer.field("model", model.name)
            writer.field("output") { writer in
                writer.array { writer in
                    if isOver { for item in output { item.write(to: &writer, tokenizer: model.tokenizer) } }
                }
            }
            for (key, value) in request.echo { writer.field(key) { $0.value(value) } }
            writer.field("usage") { writer in
                guard let usage else { return writer.value(nil as String?) }
                write(usage, to: &writer)
            }
        }
        return writer.bytes
    }

    private func write(_ usage: Usage, to writer: inout JSONWriter) {
        var reasoning = 0
        for case let item in output {
            if case .reasoning = item.kind {
                reasoning += model.tokenizer.encode(item.text, specials: .asText).count
            }
        }
        writer.object { writer in
            writer.field("input_tokens", usage.promptTokens)
            writer.field("input_tokens_details") { writer in
                writer.object { writer in
                    writer.field("cached_tokens", usage.cachedTokens)
                    writer.field("cache_write_tokens", 0)
                }
            }
            writer.field("output_tokens", usage.completionTokens)
            writer.field("output_tokens_details") { writer in
                writer.object { $0.field("reasoning_tokens", min(reasoning, usage.completionTokens)) }
            }
            writer.field("total_tokens", usage.promptTokens + usage.completionTokens)
        }
    }

    /// The output as JSON text.
    private var outputItems: String {
        var writer = JSONWriter()
        writer.array { writer in for item in output { item.write(to: &writer, tokenizer: model.tokenizer) } }
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

extension ResponsesAnswer: StreamEncoding {
    /// The response's start, then its items one after the other.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        start(into: &writer)
        if request.logprobs, case .output(let delta) = event { pending += delta.logprobs }
        for event in reader.read(event) where event.sample == 0 {
            switch event.kind {
            case .piece(let piece): write(piece, into: &writer)
            case .finished(let reason, _): ending = reason
            }
        }
    }

    private mutating func event(
        _ name: StaticString, into writer: inout JSONWriter, _ members: (inout JSONWriter) -> Void
    ) {
        ServerSentEvents.write(name, to: &writer) { writer in
            writer.field("sequence_number", number)
            members(&writer)
        }
        number += 1
    }

    private mutating func responseEvent(_ name: StaticString, _ object: [UInt8], into writer: inout JSONWriter) {
        event(name, into: &writer) { writer in
            writer.key("response")
            writer.raw(object)
        }
    }

    private mutating func start(into writer: inout JSONWriter) {
        guard !isStarted else { return }
        isStarted = true
        let object = object(nil)
        responseEvent("response.created", object, into: &writer)
        responseEvent("response.in_progress", object, into: &writer)
    }

    private mutating func write(_ piece: TurnPiece, into writer: inout JSONWriter) {
        switch piece {
        case .reasoning(let text):
            pending = []
            if isOpen, case .reasoning? = output.last?.kind {} else { open(.reasoning, into: &writer) }
            add(text, "response.reasoning_text.delta", into: &writer)
        case .text(let text):
            if isOpen, case .message? = output.last?.kind {
                return add(text, "response.output_text.delta", into: &writer)
            }
            space += text
            guard text.contains(where: { !$0.isWhitespace }) else { return }
            openMessage(into: &writer)
        case .call(_, let name):
            pending = []
            open(.call(id: reader.makeCallID(), name: name), into: &writer)
        case .arguments(_, let text):
            guard isOpen, case .call? = output.last?.kind else { return }
            add(text, "response.function_call_arguments.delta", into: &writer)
        }
    }

    /// Begins a message with the white space that was held back.
    private mutating func openMessage(into writer: inout JSONWriter) {
        let text = space
        open(.message, into: &writer)
        add(text, "response.output_text.delta", into: &writer)
    }

    private mutating func open(_ kind: ResponseOutput.Kind, into writer: inout JSONWriter) {
        close(into: &writer)
        space = ""
        begin(kind)
        isOpen = true
        let index = output.count - 1
        let item = output[index]
        let tokenizer = model.tokenizer
        event("response.output_item.added", into: &writer) { writer in
            writer.field("output_index", index)
            writer.field("item") { item.write(to: &$0, isOpen: true, tokenizer: tokenizer) }
        }
        if case .call = kind { return }
        event("response.content_part.added", into: &writer) { writer in
            Self.place(item, index, hasParts: true, in: &writer)
            writer.field("part") { item.writePart(to: &$0, isOpen: true, tokenizer: tokenizer) }
        }
    }

    private static func place(_ item: ResponseOutput, _ index: Int, hasParts: Bool, in writer: inout JSONWriter) {
        writer.field("item_id", item.id)
        writer.field("output_index", index)
        if hasParts { writer.field("content_index", 0) }
    }

    private mutating func add(_ text: String, _ name: StaticString, into writer: inout JSONWriter) {
        let index = output.count - 1
        output[index].text += text
        let item = output[index]
        var logprobs: [TokenLogprobs]?
        if case .message = item.kind {
            logprobs = pending
            output[index].logprobs += pending
            pending = []
        }
        let tokenizer = model.tokenizer
        var hasParts = true
        if case .call = item.kind { hasParts = false }
        event(name, into: &writer) { writer in
            Self.place(item, index, hasParts: hasParts, in: &writer)
            writer.field("delta", text)
            if let logprobs {
                writer.field("logprobs") { Logprobs.writeTokens(logprobs, tokenizer, to: &$0) }
            }
        }
    }

    private mutating func close(into writer: inout JSONWriter) {
        guard isOpen, let item = output.last else { return }
        isOpen = false
        let index = output.count - 1
        let tokenizer = model.tokenizer
        switch item.kind {
        case .call(_, let name):
            event("response.function_call_arguments.done", into: &writer) { writer in
                Self.place(item, index, hasParts: false, in: &writer)
                writer.field("name", name)
                writer.field("arguments", item.text)
            }
        case .reasoning, .message:
            var isMessage = false
            if case .message = item.kind { isMessage = true }
            let name: StaticString = isMessage ? "response.output_text.done" : "response.reasoning_text.done"
            event(name, into: &writer) { writer in
                Self.place(item, index, hasParts: true, in: &writer)
                writer.field("text", item.text)
                if isMessage {
                    writer.field("logprobs") { Logprobs.writeTokens(item.logprobs, tokenizer, to: &$0) }
                }
            }
            event("response.content_part.done", into: &writer) { writer in
                Self.place(item, index, hasParts: true, in: &writer)
                writer.field("part") { item.writePart(to: &$0, tokenizer: tokenizer) }
            }
        }
        event("response.output_item.done", into: &writer) { writer in
            writer.field("output_index", index)
            writer.field("item") { item.write(to: &$0, tokenizer: tokenizer) }
        }
    }

    /// Keeps the answer before its last events are sent, so that the client can go on from it at once.
    public mutating func complete(_ usage: Usage) async throws(APIError) {
        guard let store else { return }
        do {
            try await store.save(
                StoredResponse(
                    id: id, created: created, model: model.name, status: status, previousID: request.previousID,
                    inputItems: ResponseHistory.inputItems(request.input, of: id), outputItems: outputItems,
                    body: object(usage)))
        } catch {
            throw APIError(
                status: 500, "The answer could not be kept: \(error).", type: "server_error", code: "storage_failed")
        }
    }

    /// The last item's end and the response's.
    public mutating func finish(_ usage: Usage, into writer: inout JSONWriter) {
        start(into: &writer)
        // An answer of white space alone is one.
        if output.isEmpty, !space.isEmpty { openMessage(into: &writer) }
        cutLast()
        close(into: &writer)
        responseEvent(
            ending == .length ? "response.incomplete" : "response.completed", object(usage), into: &writer)
    }

    /// An `error` event, then the failed response.
    public mutating func fail(_ error: APIError, into writer: inout JSONWriter) {
        start(into: &writer)
        event("error", into: &writer) { writer in
            writer.field("code", error.code)
            writer.field("message", error.message)
            writer.field("param", error.parameter)
        }
        responseEvent("response.failed", object(nil, error: error), into: &writer)
    }

    /// Nothing: the response's last event ends the stream.
    public static var terminator: [UInt8] { [] }
}
