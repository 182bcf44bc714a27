internal import Synchronization
internal import Logging
internal import FoundationEssentials
internal import MartinetFleet

extension UpstreamPool {
    /// Keeps the members of a name or a file up to date, until the task is cancelled.
    func discover(_ client: UpstreamClient) async {
        let configuration = client.configuration
        let source = configuration.membersFile ?? configuration.url
        var stamp: FileStamp?
        while !Task.isCancelled {
            do {
                if let file = configuration.membersFile {
                    let current = FileStamp(file)
                    if current == nil || current != stamp {
                        replaceMembers(of: client, with: try Self.read(file))
                        stamp = current
                        report(nil, from: source)
                    }
                } else {
                    let named = try UpstreamAddress(configuration.url)
                    let addresses = try await lookup.addresses(named.host)
                    guard !addresses.isEmpty else { throw AddressLookup.Failure("the name has no address") }
                    let members = addresses.map { address in
                        var member = named
                        member.host = address
                        return (address: member, hostHeader: named.authority)
                    }
                    replaceMembers(of: client, with: members)
                    report(nil, from: source)
                }
            } catch {
                if Task.isCancelled { return }
                report("\(error)", from: source)
            }
            try? await Task.sleep(for: configuration.refreshInterval)
        }
    }

    /// Remembers what is wrong with a source, and logs it when it changes.
    private func report(_ problem: String?, from source: String) {
        let isNew = state.withLock { state in
            defer { state.discoveryProblems[source] = problem }
            return state.discoveryProblems[source] != problem
        }
        guard isNew else { return }
        if let problem {
            logger.warning(
                "Members cannot be found; the last ones stay",
                metadata: ["pool": "\(configuration.name)", "source": "\(source)", "reason": "\(problem)"])
        } else {
            logger.info(
                "Members are found again", metadata: ["pool": "\(configuration.name)", "source": "\(source)"])
        }
    }

    private typealias Found = (address: UpstreamAddress, hostHeader: String)

    /// One address a line; empty lines and those that begin with `#` do not count.
    private static func read(_ file: String) throws -> [Found] {
        guard let stamp = FileStamp(file) else { throw AddressLookup.Failure("the file cannot be read") }
        guard stamp.size <= 1 << 20 else { throw AddressLookup.Failure("the file is larger than 1 MiB") }
        guard let data = FileManager.default.contents(atPath: file), let text = String(data: data, encoding: .utf8)
        else { throw AddressLookup.Failure("the file cannot be read as UTF-8") }
        var found: [Found] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.split { $0.isWhitespace }
            guard let word = words.first, !word.hasPrefix("#") else { continue }
            guard words.count == 1, let address = try? UpstreamAddress(String(word)) else {
                throw AddressLookup.Failure("line \(index + 1) is not an http or https address")
            }
            if !found.contains(where: { $0.address == address }) { found.append((address, address.authority)) }
        }
        guard !found.isEmpty else { throw AddressLookup.Failure("the file has no address") }
        return found
    }

    /// Makes what was found the members of a client. Those that stay keep their state; those that go end their streams.
    private func replaceMembers(of client: UpstreamClient, with found: [Found]) {
        let breaker = CircuitBreaker(configuration.breaker)
        let (left, hasNew) = state.withLock { state -> ([Member], Bool) in
            let mine = state.members.filter { $0.client === client }
            let gone = mine.filter { member in !found.contains { $0.address == member.address } }
            let new = found.filter { entry in !mine.contains { $0.address == entry.address } }
            state.members.removeAll { member in gone.contains { $0 === member } }
            for (address, hostHeader) in new {
                let id = client.configuration.name.map { "\($0)/\(address.authority)" } ?? address.authority
                state.members.append(
                    Member(id: id, address: address, hostHeader: hostHeader, client: client, breaker: breaker))
            }
            return (gone, !new.isEmpty)
        }
        for member in left { policy.forget(member.id) }
        if !left.isEmpty || hasNew {
            logger.info(
                "The members have changed",
                metadata: [
                    "pool": "\(configuration.name)",
                    "members": "\(members.map(\.id).sorted().joined(separator: " "))",
                ])
        }
        if hasNew { for _ in 0..<queue.count { queue.wakeOne() } }
    }
}
