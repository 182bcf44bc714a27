/// How many prompt tokens a step may carry beside sequences that decode, so that nobody's next token comes much later.
///
/// It learns what steps cost: those that only decode, by how many rows they have, and a prompt token on top. The figures
/// are clock readings, so two runs may cut a prompt differently; what is computed does not depend on that.
package struct StepPace {
    /// How many times longer a step may take for the prompt tokens it carries; infinite for no bound.
    package let stretch: Double
    /// Tokens that are always let through: with the one that decodes they are as many as the kernels take at a time, on
    /// a processor that waits for memory they cost next to nothing, and prompts must come to an end.
    package static let least = 3
    /// Prompt tokens from which a step tells what one costs; with fewer, most of the time is the step's own.
    private static let telling = 16
    /// Weight of the newest figure.
    private static let newest = 0.1

    /// Seconds of a step that decodes 2ⁱ...2ⁱ⁺¹-1 rows, where one has been seen.
    private var decodeSeconds = [Double?](repeating: nil, count: 16)
    private var promptTokenSeconds: Double?

    /// Knows nothing yet.
    package init(stretch: Double) { self.stretch = stretch }

    /// Takes the time of a step of `decodes` rows that decode and `promptTokens` others.
    package mutating func observe(decodes: Int, promptTokens: Int, seconds: Double) {
        guard seconds > 0, seconds.isFinite else { return }
        if promptTokens == 0 {
            guard decodes > 0 else { return }
            Self.update(&decodeSeconds[Self.bucket(decodes)], with: seconds)
        } else if promptTokens >= Self.telling {
            let beside = decodes > 0 ? decodeStep(decodes) ?? 0 : 0
            Self.update(&promptTokenSeconds, with: max(seconds - beside, 0.1 * seconds) / Double(promptTokens))
        }
    }

    /// Most prompt tokens in a step in which `decodes` sequences decode and `prompts` others wait for their first token.
    ///
    /// Where more wait than decode, the step may grow as many times more: else one early stream would hold up a crowd.
    package func promptTokens(besides decodes: Int, for prompts: Int = 1) -> Int {
        guard decodes > 0, stretch.isFinite else { return .max }
        guard let step = decodeStep(decodes), let token = promptTokenSeconds else { return Self.least }
        let crowd = max(1, Double(prompts) / Double(decodes))
        return max(Self.least, Int(min(1e6, (stretch - 1) * crowd * step / token)))
    }

    /// The figure for so many rows, or the nearest for fewer, or for more.
    private func decodeStep(_ rows: Int) -> Double? {
        let bucket = Self.bucket(rows)
        return decodeSeconds[...bucket].last { $0 != nil } ?? decodeSeconds[bucket...].first { $0 != nil } ?? nil
    }

    private static func bucket(_ rows: Int) -> Int { min(15, Int.bitWidth - 1 - rows.leadingZeroBitCount) }

    private static func update(_ value: inout Double?, with seconds: Double) {
        // One slow step, such as the first that touches memory, must not be believed for long.
        value = value.map { $0 + newest * (min(seconds, 4 * $0) - $0) } ?? seconds
    }
}
