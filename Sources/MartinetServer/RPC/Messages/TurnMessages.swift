internal import MartinetAPI
internal import MartinetEngine
internal import MartinetInferenceProtocol
internal import MartinetTemplates
internal import MartinetTokenizers
internal import SwiftProtobuf

/// The samples of a chat that have something new, in the order in which it came.
struct NewTurns {
    private var choices: [RPCChatResponse.Choice] = []
    private var reader: TurnReader
    private var opened: Set<Int> = []
    private let tokenizer: any Tokenizer

    init(_ reader: TurnReader, _ tokenizer: any Tokenizer) {
        self.reader = reader
        self.tokenizer = tokenizer
    }

    mutating func add(_ event: InferenceEvent) {
        if case .output(let delta) = event, !delta.tokens.isEmpty {
            let tokenizer = tokenizer
            update(delta.index) { choice in
                choice.tokenIds += delta.tokens
                choice.logprobs += delta.logprobs.map { RPCTokenLogprobs($0, tokenizer) }
            }
        }
        for event in reader.read(event) {
            switch event.kind {
            case .piece(let piece):
                let id = if case .call = piece { reader.makeCallID() } else { "" }
                update(event.sample) { $0.message.add(piece, id: id) }
            case .finished(let finish, let stopText):
                update(event.sample) { choice in
                    choice.finishReason = RPCFinishReason(finish)
                    if let stopText { choice.stopText = stopText }
                }
            }
        }
    }

    private mutating func update(_ index: Int, _ change: (inout RPCChatResponse.Choice) -> Void) {
        if let place = choices.lastIndex(where: { $0.index == index }) { return change(&choices[place]) }
        var choice = RPCChatResponse.Choice()
        choice.index = Int32(clamping: index)
        if opened.insert(index).inserted { choice.message.role = "assistant" }
        change(&choice)
        choices.append(choice)
    }

    /// What is new, which is old from then on.
    mutating func take() -> [RPCChatResponse.Choice] {
        defer { choices = [] }
        return choices
    }
}

extension RPCChatMessage {
    fileprivate mutating func add(_ piece: TurnPiece, id: String) {
        switch piece {
        case .reasoning(let text): reasoningContent += text
        case .text(let text): content += text
        case .call(let index, let name):
            toolCalls.append(
                .with {
                    $0.index = Int32(clamping: index)
                    $0.id = id
                    $0.name = name
                })
        case .arguments(let index, let text):
            let index = Int32(clamping: index)
            if let place = toolCalls.lastIndex(where: { $0.index == index }) {
                toolCalls[place].arguments += text
            } else {
                toolCalls.append(
                    .with {
                        $0.index = index
                        $0.arguments = text
                    })
            }
        }
    }
}

extension RPCChatResponse.Choice {
    init(_ output: InferenceResult.Output, _ turn: Turn, _ tokenizer: any Tokenizer) {
        self.init()
        index = Int32(clamping: output.index)
        message.role = "assistant"
        if !turn.text.isEmpty || turn.calls.isEmpty { message.content = turn.text }
        if !turn.reasoning.isEmpty { message.reasoningContent = turn.reasoning }
        message.toolCalls = turn.calls.enumerated().map { index, call in
            .with {
                $0.index = Int32(clamping: index)
                $0.id = call.id
                $0.name = call.name
                $0.arguments = call.arguments
            }
        }
        tokenIds = output.tokens
        logprobs = output.logprobs.map { RPCTokenLogprobs($0, tokenizer) }
        finishReason = RPCFinishReason(turn.finish)
        if let stop = turn.stopText { stopText = stop }
    }
}
