/// What a step costs and yields, to decide whether a guess is worth its row.
///
/// A step costs what reading the weights costs, whatever is computed with them, and something for each row. A guess that
/// holds with probability p is worth its row where p tokens for a row's cost are clearly more than the step yields for
/// its cost without it: easily where one sequence runs, and never where more than twenty rows are computed anyway.
package struct StepLoad {
    /// Rows that cost as much as a step without rows does.
    ///
    /// Measured on a CPU with few cores; with more cores, or a larger model, a row costs less beside the weights.
    private static let rowsOfFixedCost = 4.0
    /// What counts as a clear gain: the model of the costs is coarse, and some tokens more are not worth being slower.
    private static let clearGain = 1.2

    /// Tokens that the step computes.
    package private(set) var rows: Double
    /// Tokens that are expected of it.
    package private(set) var expected: Double

    /// A step without guesses.
    package init(rows: Int) {
        self.rows = Double(rows)
        expected = Double(rows)
    }

    /// Adds a guess if it pays.
    package mutating func add(probability: Double) -> Bool {
        guard probability * (rows + Self.rowsOfFixedCost) > Self.clearGain * expected else { return false }
        rows += 1
        expected += probability
        return true
    }
}
