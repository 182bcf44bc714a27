/// Lowers regular languages to grammar nodes.
package enum RegularLowering {
    /// The node of a regular expression (ECMA-262) for the whole text.
    ///
    /// - Throws: ``GrammarError`` for what is not regular, is too large, or matches nothing.
    package static func node(regex: String) throws(GrammarError) -> GrammarNode {
        let effort = Effort()
        let language = try RegularLanguage(whole: regex, effort)
        return try node(language, effort, named: "the regular expression")
    }

    /// The node of any text that does not hold a marker, and then the marker.
    package static func node(textBefore marker: String) throws(GrammarError) -> GrammarNode {
        let effort = Effort()
        return try node(RegularLanguage(endingWithFirst: marker, effort), effort, named: "the text's end")
    }

    private static func node(
        _ language: RegularLanguage, _ effort: Effort, named name: String
    ) throws(GrammarError) -> GrammarNode {
        guard !language.isEmpty else { throw GrammarError("\(name) matches no text at all") }
        guard let automaton = try ByteSpelling.automaton(language, style: .plain, effort) else {
            throw GrammarError("\(name) needs an automaton of more than \(ByteSpelling.maximumStates) states")
        }
        return .automaton(automaton)
    }

    /// The node of a JSON string's inside, between its quotes, for a language that is not empty. Large ones become rules
    /// that are made as a text comes to them.
    static func node(
        insideString language: RegularLanguage, style: ByteSpelling.Style, rules: GrammarRules, _ effort: Effort
    ) throws(GrammarError) -> GrammarNode {
        if let automaton = try ByteSpelling.automaton(language, style: style, effort) {
            return .automaton(automaton)
        }
        return .rule(StringRules(language, style: style, rules: rules).rule(0))
    }
}
