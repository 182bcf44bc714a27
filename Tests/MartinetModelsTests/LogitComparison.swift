import Foundation
import MartinetTestKit

/// How far a row of logits is from the reference's, relative to the root mean square of the reference's row.
func relativeError(_ row: [Float], _ reference: ReferenceLogits.Position, fixed: [Int32]) -> Float {
    var worst: Float = 0
    for (token, value) in zip(reference.top, reference.topLogits) { worst = max(worst, abs(row[Int(token)] - value)) }
    for (token, value) in zip(fixed, reference.fixedLogits) { worst = max(worst, abs(row[Int(token)] - value)) }
    worst = max(worst, abs(Float(logSumExp(row)) - reference.logSumExp))
    // A NaN must not pass for a small error.
    return row.allSatisfy(\.isFinite) ? worst / reference.rms : .infinity
}

func logSumExp(_ row: [Float]) -> Double {
    let largest = Double(row.max() ?? 0)
    return largest + log(row.reduce(0.0) { $0 + exp(Double($1) - largest) })
}

func argmax(_ row: [Float]) -> Int {
    var best = 0
    for (index, value) in row.enumerated() where value > row[best] { best = index }
    return best
}

/// The Kullback–Leibler divergence of `q` from `p`, in nats.
func divergence(_ p: [Float], _ q: [Float]) -> Double {
    let (totalP, totalQ) = (logSumExp(p), logSumExp(q))
    return zip(p, q).reduce(0.0) { sum, pair in
        let logP = Double(pair.0) - totalP
        return sum + exp(logP) * (logP - (Double(pair.1) - totalQ))
    }
}
