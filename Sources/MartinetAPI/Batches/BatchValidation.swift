/// Checks the lines of a batch's file one after the other.
public struct BatchValidation: Sendable {
    /// Most requests of a batch, as OpenAI has it.
    public static let maximumRequests = 50_000
    /// Most problems that are told.
    static let maximumProblems = 100

    private let endpoint: String
    private var customIDs: [String: Int] = [:]
    private var problems: [BatchProblem] = []

    /// Checks lines for a route.
    public init(endpoint: String) {
        self.endpoint = endpoint
    }

    /// Whether enough is known: what follows would not be told.
    public var isDecided: Bool {
        problems.count >= Self.maximumProblems || customIDs.count > Self.maximumRequests
    }

    /// Takes a line that is not blank.
    ///
    /// - Parameter number: the line's number, from 1.
    public mutating func add(_ bytes: [UInt8], number: Int) {
        do throws(BatchProblem) {
            let line = try BatchLine(bytes, endpoint: endpoint)
            if let first = customIDs.updateValue(number, forKey: line.customID) {
                throw BatchProblem(
                    code: "duplicate_custom_id",
                    message: "The `custom_id` \"\(line.customID.prefix(64))\" stands on line \(first) already.",
                    parameter: "custom_id")
            }
        } catch {
            add(error, number: number)
        }
    }

    /// Takes a problem of a line.
    public mutating func add(_ problem: BatchProblem, number: Int?) {
        var problem = problem
        problem.line = number
        problems.append(problem)
    }

    /// What the lines come to.
    public var event: Batch.Event {
        if customIDs.count > Self.maximumRequests {
            return .refused([
                BatchProblem(
                    code: "too_many_requests",
                    message: "A batch has at most \(Self.maximumRequests) requests; make several batches of this file.")
            ])
        }
        if !problems.isEmpty { return .refused(problems) }
        guard !customIDs.isEmpty else {
            return .refused([BatchProblem(code: "empty_file", message: "The file holds no requests.")])
        }
        return .accepted(requests: customIDs.count)
    }
}
