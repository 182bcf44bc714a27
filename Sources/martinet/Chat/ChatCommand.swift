import ArgumentParser
import Foundation
import MartinetEngine
import MartinetModelFormats
import MartinetModels
import Synchronization

/// `martinet chat`: a conversation in the terminal.
struct ChatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Talk to a model in the terminal, through a server or loading the model itself.",
        discussion: """
            Ctrl-C stops an answer; at the prompt it ends the conversation, as Ctrl-D does. /clear forgets what was said, \
            /exit ends. Text piped into it is one message: `echo "Name three birds" | martinet chat`.
            """)

    @Argument(help: "A model in the store, or the path of one; with --url the server's name for it.")
    var model: String?

    @Option(help: "A server to talk to, such as http://127.0.0.1:8000; without it the model is loaded here.")
    var url: String?

    @Option(help: "The key that the server wants (or MARTINET_API_KEY).")
    var apiKey: String?

    @Option(help: "What the model is told before the conversation.")
    var system: String?

    @Option(help: "0 always takes the likeliest token; higher values vary more.")
    var temperature: Double?

    @Option(help: "Keep the likeliest tokens up to this probability.")
    var topP: Double?

    @Option(help: "Most tokens in an answer.")
    var maxTokens: Int?

    @Option(help: "Fixes the randomness.")
    var seed: Int?

    func validate() throws {
        if let temperature, !(0...100).contains(temperature) {
            throw ValidationError("--temperature must be from 0 to 100, but is \(temperature).")
        }
        if let topP, !(topP > 0 && topP <= 1) {
            throw ValidationError("--top-p must be above 0 and at most 1, but is \(topP).")
        }
        if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1.") }
    }

    func run() async throws {
        let parameters = ChatParameters(temperature: temperature, topP: topP, maxTokens: maxTokens, seed: seed)
        let partner: any ChatPartner
        if let url {
            partner = RemoteChatPartner(
                url: url, model: model,
                apiKey: apiKey ?? ProcessInfo.processInfo.environment["MARTINET_API_KEY"], parameters: parameters)
        } else {
            let path = try ModelStore().resolve(model ?? Catalogue.defaultName)
            let engine = try InferenceEngine(model: LoadedModel.load(path: path))
            partner = LocalChatPartner(engine: engine, parameters: parameters)
        }
        var conversation = ChatConversation(system: system)
        let interrupt = InterruptHandler()
        if Console.isInteractive {
            Console.note("Type a message; /clear starts afresh, /exit ends.")
            while let line = ask() {
                let text = line.trimmingCharacters(in: .whitespaces)
                switch text {
                case "": continue
                case "/exit", "/quit":
                    await partner.close()
                    return
                case "/clear": conversation = ChatConversation(system: system)
                default:
                    do {
                        try await answer(text, &conversation, partner, interrupt)
                    } catch {
                        Console.note("\(error)")
                    }
                }
            }
            Console.output("")
        } else {
            let text = String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            guard !text.isEmpty else { throw ValidationError("Standard input holds no message.") }
            try await answer(text, &conversation, partner, interrupt)
        }
        await partner.close()
    }

    private func ask() -> String? {
        Console.output("> ", terminator: "")
        return readLine()
    }

    private func answer(
        _ text: String, _ conversation: inout ChatConversation, _ partner: any ChatPartner,
        _ interrupt: InterruptHandler
    ) async throws {
        conversation.messages.append(.init(role: "user", content: text))
        let messages = conversation.messages
        let task = Task {
            try await partner.answer(messages) { Console.output($0, terminator: "") }
        }
        interrupt.guards(task)
        defer { interrupt.release() }
        do {
            let said = try await task.value
            Console.output("")
            conversation.messages.append(.init(role: "assistant", content: said))
        } catch {
            // A question without an answer would confuse the next turn.
            conversation.messages.removeLast()
            throw error
        }
    }
}

/// Ctrl-C: stops the answer that runs, or ends the program where none does.
struct InterruptHandler {
    private final class Running: Sendable {
        let task = Mutex<Task<String, any Error>?>(nil)
    }

    private let running = Running()
    private let source: any DispatchSourceSignal

    init() {
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [running] in
            guard let task = running.task.withLock(\.self) else {
                Console.output("")
                Foundation.exit(130)
            }
            task.cancel()
        }
        source.resume()
    }

    func guards(_ task: Task<String, any Error>) { running.task.withLock { $0 = task } }
    func release() { running.task.withLock { $0 = nil } }
}
