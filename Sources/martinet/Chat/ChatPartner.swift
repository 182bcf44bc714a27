import AsyncHTTPClient
import Foundation
import MartinetEngine
import MartinetModels
import MartinetTemplates
import NIOCore
import NIOHTTP1

/// What was said so far.
struct ChatConversation {
    struct Message: Sendable {
        var role: String
        var content: String
    }
    var messages: [Message]

    init(system: String?) {
        messages = system.map { [Message(role: "system", content: $0)] } ?? []
    }
}

/// How answers are sampled; `nil` leaves it to the model.
struct ChatParameters: Sendable {
    var temperature: Double?
    var topP: Double?
    var maxTokens: Int?
    var seed: Int?
}

/// Who answers.
protocol ChatPartner: Sendable {
    /// Gives the answer piece by piece, and whole at the end; a cancelled task ends it with what was said by then.
    func answer(_ messages: [ChatConversation.Message], _ say: @escaping @Sendable (String) -> Void) async throws
        -> String
    func close() async
}

/// The engine in this process.
struct LocalChatPartner: ChatPartner {
    let engine: InferenceEngine
    let parameters: ChatParameters

    func answer(
        _ messages: [ChatConversation.Message], _ say: @escaping @Sendable (String) -> Void
    ) async throws -> String {
        let prompt = try engine.chatPrompt(messages: messages.map { .message(role: $0.role, content: $0.content) })
        let defaults = engine.model.generationDefaults
        var sampling = SamplingParameters()
        sampling.temperature = parameters.temperature ?? defaults.temperature ?? 0.7
        sampling.topP = parameters.topP ?? defaults.topP ?? 0.95
        sampling.topK = defaults.topK ?? -1
        sampling.repetitionPenalty = defaults.repetitionPenalty ?? 1
        sampling.maxTokens = parameters.maxTokens
        sampling.seed = parameters.seed.map { UInt64(bitPattern: Int64($0)) }
        var said = ""
        for try await events in try engine.generate(InferenceRequest(id: "chat", prompt: prompt, sampling: sampling)) {
            for case .output(let delta) in events where !delta.text.isEmpty {
                said += delta.text
                say(delta.text)
            }
        }
        return said
    }

    func close() async { await engine.shutdown(deadline: .zero) }
}

/// A server with OpenAI's chat completions.
struct RemoteChatPartner: ChatPartner {
    let url: String
    let model: String?
    let apiKey: String?
    let parameters: ChatParameters

    /// Lives as long as the process. A server that is not there is said at once, instead of being tried for an hour.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(10)))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    func answer(
        _ messages: [ChatConversation.Message], _ say: @escaping @Sendable (String) -> Void
    ) async throws -> String {
        var body: [String: Any] = [
            "messages": messages.map { ["role": $0.role, "content": $0.content] }, "stream": true,
        ]
        body["model"] = model
        body["temperature"] = parameters.temperature
        body["top_p"] = parameters.topP
        body["max_tokens"] = parameters.maxTokens
        body["seed"] = parameters.seed
        var base = url.hasSuffix("/") ? String(url.dropLast()) : url
        if !base.hasSuffix("/v1") { base += "/v1" }
        var request = HTTPClientRequest(url: base + "/chat/completions")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        if let apiKey { request.headers.add(name: "Authorization", value: "Bearer \(apiKey)") }
        request.body = .bytes(ByteBuffer(bytes: try JSONSerialization.data(withJSONObject: body)))
        let answer: HTTPClientResponse
        do {
            answer = try await Self.client.execute(request, timeout: .hours(1))
        } catch {
            throw CommandFailure("\(base) does not answer (\(error)). Is a server running there? Try `martinet serve`.")
        }
        guard answer.status == .ok else {
            let text = String(buffer: try await answer.body.collect(upTo: 1 << 20))
            throw CommandFailure("The server answered \(answer.status.code): \(Self.message(of: text) ?? text)")
        }
        var said = ""
        do {
            try await read(answer.body) { piece in
                said += piece
                say(piece)
            }
        } catch  where Task.isCancelled {
            return said
        }
        return said
    }

    private func read(_ body: HTTPClientResponse.Body, _ take: (String) -> Void) async throws {
        var line: [UInt8] = []
        for try await buffer in body {
            for byte in buffer.readableBytesView {
                guard byte == UInt8(ascii: "\n") else {
                    line.append(byte)
                    guard line.count <= 1 << 20 else { throw CommandFailure("The server sent an endless line.") }
                    continue
                }
                let text = String(decoding: line, as: UTF8.self)
                line.removeAll(keepingCapacity: true)
                guard text.hasPrefix("data: ") else { continue }
                let data = text.dropFirst(6)
                if data == "[DONE]" { return }
                if let message = Self.message(of: String(data)) {
                    throw CommandFailure("The server failed: \(message)")
                }
                guard let event = try JSONSerialization.jsonObject(with: Data(data.utf8)) as? [String: Any],
                    let choices = event["choices"] as? [[String: Any]],
                    let delta = choices.first?["delta"] as? [String: Any], let piece = delta["content"] as? String
                else { continue }
                take(piece)
            }
        }
    }

    private static func message(of text: String) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return (object?["error"] as? [String: Any])?["message"] as? String
    }

    func close() async {}
}
