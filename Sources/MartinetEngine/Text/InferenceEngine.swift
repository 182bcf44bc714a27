public import MartinetModels

/// A model that answers: text in and out, many requests at once, no server needed.
///
/// ```swift
/// let engine = try InferenceEngine(model: .load(path: "model.gguf"))
/// let prompt = try engine.chatPrompt(messages: [.message(role: "user", content: "Hello!")])
/// let answer = try await engine.complete(InferenceRequest(id: "1", prompt: prompt, sampling: .greedy))
/// print(answer.outputs[0].text)
/// ```
public final class InferenceEngine: Sendable {
    /// The model's text side.
    public let model: TextModel
    private let engine: any SequenceEngine

    /// The longest sequence, prompt and output together.
    public var maxModelLength: Int { engine.limits.maxModelLength }

    /// Reserves memory and starts the engine's thread. Call ``shutdown(deadline:)`` at the end.
    ///
    /// - Throws: ``EngineError`` or ``ModelError`` where the options do not fit the model or the machine.
    public convenience init(model: LoadedModel, options: EngineOptions = EngineOptions()) throws {
        self.init(
            model: model.text,
            engine: try Engine(model: model, plan: MemoryPlan(model: model, options: options), options: options))
    }

    /// Puts a model's text side in front of what runs its sequences.
    package init(model: TextModel, engine: any SequenceEngine) {
        self.model = model
        self.engine = engine
    }

    deinit { engine.stop() }

    /// Takes a request.
    ///
    /// - Returns: its events. Leaving the loop, dropping the stream or cancelling the task cancels the request.
    /// - Throws: ``EngineError`` where the request is invalid, the queue is full, or the engine does not run.
    public func generate(_ request: InferenceRequest) throws(EngineError) -> InferenceStream {
        guard request.sampleCount >= 1, request.sampleCount <= 128 else {
            throw EngineError(
                .invalidParameter, "n must be from 1 to 128, but is \(request.sampleCount).", parameter: "n")
        }
        guard request.stop.count <= 64, request.stop.allSatisfy({ $0.utf8.count <= 4096 }) else {
            throw EngineError(
                .invalidParameter, "stop must be at most 64 texts of at most 4096 bytes each.", parameter: "stop")
        }
        let mailbox = Mailbox()
        var sequences = EngineRequest(
            id: request.id, prompt: request.prompt, sampling: request.sampling, sampleCount: request.sampleCount,
            priority: request.priority, cacheSalt: request.cacheSalt, deadline: request.deadline,
            session: request.session)
        sequences.embeds = request.embeds
        let ticket = try engine.submit(sequences, to: mailbox)
        return InferenceStream(
            subscription: .init(mailbox: mailbox, ticket: ticket), request: request, tokenizer: model.tokenizer,
            endTokens: model.endTokens)
    }

    /// Takes a request and collects its answer.
    ///
    /// - Throws: ``EngineError``, or `CancellationError` where the task was cancelled.
    public func complete(_ request: InferenceRequest) async throws -> InferenceResult {
        var result = InferenceResult(
            prompt: InferencePrompt(tokenCount: request.prompt.count, cachedTokenCount: 0, logprobs: nil),
            outputs: (0..<max(1, request.sampleCount)).map { InferenceResult.Output(index: $0) })
        for try await events in try generate(request) {
            for event in events { result.add(event) }
        }
        try Task.checkCancellation()
        return result
    }

    /// A vector that stands for a text, as long as 1.
    ///
    /// - Throws: ``EngineError``, or `CancellationError` where the task was cancelled.
    public func embed(_ prompt: [Int32]) async throws -> Embedding {
        var request = InferenceRequest(id: "embedding", prompt: prompt, sampling: .greedy)
        request.embeds = true
        guard let embedding = try await complete(request).prompt.embedding else {
            throw EngineError(.unavailable, "The engine shut down before the embedding was computed.")
        }
        return embedding.normalized()
    }

    /// Figures of this moment.
    public func statistics() -> EngineStatistics { engine.statistics() }

    /// Takes no more requests, lets those here end until the deadline, aborts the rest, and ends the thread.
    public func shutdown(deadline: Duration = .seconds(30)) async { await engine.shutdown(deadline: deadline) }
}

extension InferenceResult {
    /// Adds what a stream brought.
    public mutating func add(_ event: InferenceEvent) {
        switch event {
        case .prompt(let prompt): self.prompt = prompt
        case .output(let delta):
            guard outputs.indices.contains(delta.index) else { return }
            outputs[delta.index].text += delta.text
            outputs[delta.index].tokens += delta.tokens
            outputs[delta.index].logprobs += delta.logprobs
        case .finished(let index, let reason, let stopText):
            guard outputs.indices.contains(index) else { return }
            outputs[index].finishReason = reason
            outputs[index].stopText = stopText
        }
    }
}
