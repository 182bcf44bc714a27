internal import Dispatch

/// Runs what waits for the disk on a thread that may wait, away from those that serve connections and streams.
package func onFileThread<Value: Sendable, Failure: Error>(
    _ action: @escaping @Sendable () throws(Failure) -> Value
) async throws(Failure) -> Value {
    let result = await withCheckedContinuation { (done: CheckedContinuation<Result<Value, Failure>, Never>) in
        DispatchQueue.global(qos: .utility).async {
            do throws(Failure) {
                done.resume(returning: .success(try action()))
            } catch {
                done.resume(returning: .failure(error))
            }
        }
    }
    return try result.get()
}
