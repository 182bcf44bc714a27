public import MartinetEngine
internal import MartinetTemplates
internal import MartinetTokenizers

/// Takes the samples of one chat request apart as their events come: reasoning, text, calls.
///
/// ```swift
/// let request = try generation.request(id: id, model: model, service: service)
/// var reader = generation.reader(for: request, model: model)
/// for event in reader.read(event) { … }
/// ```
public struct TurnReader: Sendable {
    /// What the ids of calls begin with; for Mistral's models they are nine letters and digits, as those want them.
    public var callIDPrefix = "call_"

    private let start: TurnParser
    private let singleCall: Bool
    private let shortIDs: Bool
    /// A stop text of our own, which ends a turn after its first call.
    private let callEnd: String?
    private var samples: [Sample]

    private struct Sample {
        var parser: TurnParser
        var hasCalls = false
    }

    /// - Parameters:
    ///   - parser: at the start of a turn.
    ///   - singleCall: whether calls after the first are left out.
    ///   - callEnd: a stop text that the client did not ask for.
    init(_ parser: TurnParser, format: TurnFormat, singleCall: Bool, callEnd: String?, sampleCount: Int) {
        start = parser
        self.singleCall = singleCall
        self.callEnd = callEnd
        shortIDs = format.tools == .mistral
        samples = Array(repeating: Sample(parser: parser), count: max(1, sampleCount))
    }

    /// What an event of the engine brings: nothing, one event or several.
    public mutating func read(_ event: InferenceEvent) -> [TurnEvent] {
        switch event {
        case .prompt: return []
        case .output(let delta):
            guard samples.indices.contains(delta.index), !delta.text.isEmpty else { return [] }
            return events(samples[delta.index].parser.add(delta.text), sample: delta.index)
        case .finished(let index, let reason, let stopText):
            guard samples.indices.contains(index) else { return [] }
            var events = events(samples[index].parser.finish(), sample: index)
            let finish = TurnFinish(reason, calls: samples[index].hasCalls)
            events.append(
                TurnEvent(
                    sample: index, kind: .finished(finish, stopText: stopText == callEnd ? nil : stopText)))
            return events
        }
    }

    private mutating func events(_ pieces: [TurnPiece], sample: Int) -> [TurnEvent] {
        var events: [TurnEvent] = []
        for piece in pieces {
            switch piece {
            case .call(let index, _), .arguments(let index, _):
                samples[sample].hasCalls = true
                if singleCall, index > 0 { continue }
            case .reasoning, .text: break
            }
            events.append(TurnEvent(sample: sample, kind: .piece(piece)))
        }
        return events
    }

    /// A whole sample.
    public func turn(_ output: InferenceResult.Output) -> Turn {
        var parser = start
        var turn = Turn()
        for piece in parser.add(output.text) + parser.finish() {
            switch piece {
            case .reasoning(let text): turn.reasoning += text
            case .text(let text): turn.text += text
            case .call(let index, let name):
                if singleCall, index > 0 { continue }
                turn.calls.append(Turn.Call(id: makeCallID(), name: name, arguments: ""))
            case .arguments(let index, let text):
                if turn.calls.indices.contains(index) { turn.calls[index].arguments += text }
            }
        }
        turn.finish = TurnFinish(output.finishReason, calls: !turn.calls.isEmpty)
        turn.stopText = output.stopText == callEnd ? nil : output.stopText
        return turn
    }

    /// An id for a call that begins.
    public func makeCallID() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        let count = shortIDs ? 9 : 24
        let id = String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count)] })
        return shortIDs ? id : callIDPrefix + id
    }
}
