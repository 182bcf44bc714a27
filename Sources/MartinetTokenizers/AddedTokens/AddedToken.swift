/// A token that is found in the text itself, before the text is cut into words.
public struct AddedToken: Sendable, Hashable {
    /// Its id.
    public var id: Int
    /// Its spelling in the text.
    public var content: String
    /// Whether it is a control token: `special` in `tokenizer.json`.
    public var isControl: Bool
    /// Whether it matches only between non-word characters.
    public var singleWord: Bool
    /// Whether it takes white space on its left with it.
    public var stripsLeft: Bool
    /// Whether it takes white space on its right with it.
    public var stripsRight: Bool
    /// Whether it is looked for after normalisation. Control tokens are always looked for before.
    public var normalized: Bool

    /// An added token; flags are as in `tokenizer.json`.
    public init(
        id: Int, content: String, isControl: Bool, singleWord: Bool = false, stripsLeft: Bool = false,
        stripsRight: Bool = false, normalized: Bool = false
    ) {
        self.id = id
        self.content = content
        self.isControl = isControl
        self.singleWord = singleWord
        self.stripsLeft = stripsLeft
        self.stripsRight = stripsRight
        self.normalized = normalized
    }
}
