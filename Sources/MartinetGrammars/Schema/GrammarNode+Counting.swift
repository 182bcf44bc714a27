extension GrammarNode {
    /// The most copies that a repetition is given at once.
    private static let block = 1_024

    /// A node so many times in a row, with no more than some thousand copies of it however large the bounds are: large
    /// counts are counted in blocks, and blocks of blocks.
    static func counted(_ node: GrammarNode, minimum: Int, maximum: Int?, rules: GrammarRules) -> GrammarNode {
        guard max(minimum, maximum ?? 0) > 4 * block else {
            return .repetition(node, minimum: minimum, maximum: maximum)
        }
        let least = exactly(minimum, node, rules)
        guard let maximum else { return .sequence([least, .repetition(node, minimum: 0, maximum: nil)]) }
        return .sequence([least, atMost(maximum - minimum, node, rules)])
    }

    private static func inBlock(_ node: GrammarNode, _ rules: GrammarRules) -> GrammarNode {
        .rule(rules.add { .repetition(node, minimum: block, maximum: block) })
    }

    private static func exactly(_ count: Int, _ node: GrammarNode, _ rules: GrammarRules) -> GrammarNode {
        guard count > block else { return .repetition(node, minimum: count, maximum: count) }
        let rest = GrammarNode.repetition(node, minimum: count % block, maximum: count % block)
        return .sequence([exactly(count / block, inBlock(node, rules), rules), rest])
    }

    private static func atMost(_ count: Int, _ node: GrammarNode, _ rules: GrammarRules) -> GrammarNode {
        guard count > block else { return .repetition(node, minimum: 0, maximum: count) }
        let blocks = inBlock(node, rules)
        let fewer = GrammarNode.sequence([
            atMost(count / block - 1, blocks, rules), .repetition(node, minimum: 0, maximum: block - 1),
        ])
        let most = GrammarNode.sequence([
            exactly(count / block, blocks, rules), .repetition(node, minimum: 0, maximum: count % block),
        ])
        return .choice([fewer, most])
    }
}
