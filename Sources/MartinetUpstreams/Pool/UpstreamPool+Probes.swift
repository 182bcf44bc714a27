internal import MartinetJSON
internal import Logging
internal import MartinetAPI
internal import MartinetFleet
internal import NIOCore
internal import Synchronization

extension UpstreamPool {
    /// Asks members that were idle for too long whether they still generate, until the task is cancelled.
    ///
    /// A member whose breaker is half open is asked as soon as it admits somebody, so that it comes back without a
    /// client's request at risk.
    func probeMembers() async {
        let shortest = clients.map(\.configuration.probe.interval).min() ?? .seconds(15)
        let tick = max(.milliseconds(5), min(shortest / 4, .seconds(1)))
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for member in members where member.takeProbe(now: .now) {
                    group.addTask { await self.probe(member) }
                }
                try? await Task.sleep(for: tick)
            }
            group.cancelAll()
        }
    }

    private func probe(_ member: Member) async {
        defer { member.state.withLock { $0.isProbing = false } }
        let probe = member.client.configuration.probe
        let model = probe.model ?? member.client.configuration.models.sorted { $0.key < $1.key }.first?.value
        guard let lease = member.admit(cost: 1, queue: queue, now: .now) else { return }
        var problem: String?
        do {
            if let model {
                _ = try await attempt(probe, model: model, lease).run()
            } else {
                try await lease.checkModels(timeout: probe.timeout)
            }
        } catch {
            guard error.code != .cancelled else { return }
            problem = error.message
            logger.warning(
                "A probe failed",
                metadata: ["pool": "\(configuration.name)", "upstream": "\(member.id)", "reason": "\(error.message)"])
        }
        member.state.withLock { $0.lastProbe = MemberSnapshot.Probe(ended: .now, problem: problem) }
    }

    private func attempt(
        _ probe: UpstreamConfiguration.Probe, model: String, _ lease: Lease
    ) throws(UpstreamError) -> Attempt {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("model", model)
            if RequestKind(path: probe.path) == .chat {
                writer.field("messages") { writer in
                    writer.array { writer in
                        writer.object { writer in
                            writer.field("role", "user")
                            writer.field("content", "Hi")
                        }
                    }
                }
            } else {
                writer.field("prompt", "Hi")
            }
            writer.field("max_tokens", 1)
        }
        let bytes = ByteBuffer(bytes: writer.bytes)
        do {
            return Attempt(
                lease: lease, body: try UpstreamRequestBody(path: probe.path, bytes: bytes), bytes: bytes, headers: [],
                deadline: .now + probe.timeout, filter: nil)
        } catch {
            throw UpstreamError(.invalidRequest, error.message, status: 500)
        }
    }
}

extension Member {
    /// Whether a probe is due; takes it if so.
    fileprivate func takeProbe(now: ContinuousClock.Instant) -> Bool {
        let probe = client.configuration.probe
        guard probe.isEnabled else { return false }
        return state.withLock { state in
            guard !state.isProbing, state.breaker.admits(now: now), state.pausedUntil ?? now <= now else {
                return false
            }
            let latest = max(state.lastOutcome, state.lastProbe?.ended ?? state.lastOutcome)
            let isIdle = state.outstandingRequests == 0 && now - latest >= probe.interval
            guard isIdle || state.breaker.state != .closed else { return false }
            state.isProbing = true
            return true
        }
    }
}
