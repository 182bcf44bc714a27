/// Takes a turn's text apart while it streams. Pieces come as soon as their kind is certain.
///
/// However the text is cut, the pieces of one kind join to the same texts. What looked like a call and turned out not to
/// be one comes as text, in full. Time is linear in the text's length; what is held back is at most a marker, spaces, or
/// the beginning of a call of which name and arguments are not known yet.
public struct TurnParser: Sendable {
    private var reasoning: ReasoningSplitter?
    private var calls: CallParser?
    private var pieces: TurnPieces

    /// A parser for one sample's text.
    ///
    /// - Parameters:
    ///   - format: how the model writes turns.
    ///   - functions: the functions that it may call. Where a format has no marker for calls, they tell a call from an
    ///     answer that looks like one; `nil` takes any name.
    ///   - reasoningIsOpen: whether the prompt ends with the opening of reasoning.
    public init(format: TurnFormat, functions: Set<String>? = nil, reasoningIsOpen: Bool = false) {
        reasoning = format.reasoning.map { _ in ReasoningSplitter(isOpen: reasoningIsOpen) }
        calls = format.tools.map { CallParser($0, functions: functions) }
        pieces = TurnPieces(holdsSpace: format.tools != nil)
    }

    /// More text: what became certain by it.
    public mutating func add(_ text: String) -> [TurnPiece] {
        guard !text.isEmpty else { return [] }
        guard reasoning != nil || calls != nil else { return [.text(text)] }
        let bytes = reasoning?.add(text.utf8, &pieces) ?? Array(text.utf8)
        takeText(bytes)
        return pieces.take()
    }

    /// The end of the text: what was held back.
    public mutating func finish() -> [TurnPiece] {
        takeText(reasoning?.finish(&pieces) ?? [])
        calls?.finish(&pieces)
        pieces.finish()
        return pieces.take()
    }

    private mutating func takeText(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        if calls == nil { pieces.text(bytes[...]) } else { calls?.add(bytes, &pieces) }
    }
}
