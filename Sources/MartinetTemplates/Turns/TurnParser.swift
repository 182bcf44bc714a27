/// Takes a turn's text apart while it streams. Pieces come as soon as their kind is certain.
public struct TurnParser: Sendable {
    /// A parser for one sample's text.
    public init(format: TurnFormat) {}

    /// More text: what became certain by it.
    public mutating func add(_ text: String) -> [TurnPiece] {
        text.isEmpty ? [] : [.text(text)]
    }

    /// The end of the text: what was held back.
    public mutating func finish() -> [TurnPiece] { [] }
}
