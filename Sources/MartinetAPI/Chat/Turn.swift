internal import MartinetEngine
public import MartinetTemplates

/// Why a turn ended.
public enum TurnFinish: String, Sendable, Hashable {
    /// The model's end, a stop token or a stop text.
    case stop
    /// `max_tokens` or the model's context.
    case length
    /// The model waits for what its calls bring.
    case toolCalls = "tool_calls"
    /// The client left, or the engine shut down.
    case abort

    /// - Parameter calls: whether the turn holds calls.
    init(_ reason: FinishReason, calls: Bool) {
        switch reason {
        case .stop: self = calls ? .toolCalls : .stop
        case .length: self = .length
        case .abort: self = .abort
        }
    }
}

/// An assistant's whole turn, taken apart.
public struct Turn: Sendable, Hashable {
    /// A call of a function.
    public struct Call: Sendable, Hashable {
        /// Names the call, so that its result can refer to it.
        public var id: String
        /// The function.
        public var name: String
        /// Its arguments as JSON text, as the model wrote them: a JSON object, unless it wrote something else or was cut off.
        public var arguments: String
    }
    /// Thinking before the answer; empty where there was none.
    public var reasoning = ""
    /// The answer's text; empty where there was none.
    public var text = ""
    /// Calls in order.
    public var calls: [Call] = []
    /// Why it ended.
    public var finish = TurnFinish.abort
    /// The stop text of the request that ended it.
    public var stopText: String?

    /// An empty turn.
    public init() {}
}

/// What happens in a turn, as it streams.
public struct TurnEvent: Sendable, Hashable {
    /// The kinds of events.
    public enum Kind: Sendable, Hashable {
        /// More of the turn.
        case piece(TurnPiece)
        /// The end; nothing follows.
        case finished(TurnFinish, stopText: String?)
    }
    /// Which of the request's samples it belongs to.
    public var sample: Int
    /// What happened.
    public var kind: Kind

    /// Describes an event.
    public init(sample: Int, kind: Kind) {
        self.sample = sample
        self.kind = kind
    }
}
