/// How turns are to be read: as the chat template tells, or as the operator says.
public struct TurnFormatChoice: Sendable, Hashable {
    /// A choice for one part of turns.
    public enum Part<Format: Sendable & Hashable>: Sendable, Hashable {
        /// As the chat template tells.
        case auto
        /// Not at all: it stays text.
        case off
        /// In any case this one.
        case fixed(Format)
    }
    /// How calls are written.
    public var tools = Part<ToolCallFormat>.auto
    /// How reasoning is marked.
    public var reasoning = Part<ReasoningFormat>.auto

    /// As the chat template tells.
    public init() {}

    /// The format of a model.
    public func format(template: String?, variables: Set<String>) -> TurnFormat {
        var format = TurnFormat(template: template, variables: variables)
        switch tools {
        case .auto: break
        case .off: format.tools = nil
        case .fixed(let tools): format.tools = tools
        }
        switch reasoning {
        case .auto: break
        case .off: format.reasoning = nil
        case .fixed(let reasoning): format.reasoning = reasoning
        }
        return format
    }
}
