internal import Foundation
package import NIOSSL
internal import SwiftASN1
internal import Synchronization
internal import X509

/// The certificates that a server shows, read again when their files change; connections that are open keep theirs.
package final class ServerCertificates: Sendable {
    /// Paths of PEM files.
    package struct Files: Sendable, Hashable {
        /// The server's certificate, and those between it and its authority.
        package var certificate: String
        /// Its private key.
        package var key: String
        /// Authorities that clients' certificates must come from; clients need none where it is absent.
        package var clientAuthorities: String?

        /// Names files.
        package init(certificate: String, key: String, clientAuthorities: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientAuthorities = clientAuthorities
        }

        fileprivate var all: [String] { [certificate, key] + (clientAuthorities.map { [$0] } ?? []) }
    }

    /// Files that make no context.
    package struct LoadError: Error, CustomStringConvertible {
        /// Which file it was, and what is wrong with it.
        package let description: String
    }

    private struct State {
        var context: NIOSSLContext
        var stamps: [Stamp]
    }

    /// What tells that a file changed.
    private struct Stamp: Equatable {
        var date: Date?
        var size: Int?
        var inode: Int?
    }

    /// Where they come from.
    package let files: Files
    private let protocols: [String]
    private let state: Mutex<State>

    /// Reads the files.
    ///
    /// - Parameter protocols: what the server speaks, best first, as TLS names it.
    /// - Throws: ``LoadError`` that names the file at fault.
    package init(_ files: Files, protocols: [String] = ["h2", "http/1.1"]) throws(LoadError) {
        self.files = files
        self.protocols = protocols
        let stamps = Self.stamps(files)
        state = Mutex(State(context: try Self.load(files, protocols), stamps: stamps))
    }

    /// What new connections use.
    var context: NIOSSLContext { state.withLock(\.context) }

    /// Reads the files again, where they changed or it is told to; what was there stays where they are no good.
    ///
    /// - Returns: whether there are new certificates.
    /// - Throws: ``LoadError`` that names the file at fault, once for each change.
    package func reload(always: Bool = false) throws(LoadError) -> Bool {
        let stamps = Self.stamps(files)
        let isChanged = state.withLock { state in
            defer { state.stamps = stamps }
            return state.stamps != stamps
        }
        guard isChanged || always else { return false }
        let context = try Self.load(files, protocols)
        state.withLock { $0.context = context }
        return true
    }

    private static func stamps(_ files: Files) -> [Stamp] {
        files.all.map { path in
            // A secret of Kubernetes is a chain of links: what counts is the file at their end.
            let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return Stamp(
                date: attributes?[.modificationDate] as? Date, size: attributes?[.size] as? Int,
                inode: attributes?[.systemFileNumber] as? Int)
        }
    }

    private static func load(_ files: Files, _ protocols: [String]) throws(LoadError) -> NIOSSLContext {
        func read<Value>(_ path: String, _ kind: String, _ action: () throws -> Value) throws(LoadError) -> Value {
            guard FileManager.default.isReadableFile(atPath: path) else {
                throw LoadError(description: "The \(kind) \(path) cannot be read.")
            }
            do {
                return try action()
            } catch {
                throw LoadError(description: "\(path) is no \(kind) in PEM form: \(error).")
            }
        }
        let chain = try read(files.certificate, "certificate") {
            try NIOSSLCertificate.fromPEMFile(files.certificate).map(NIOSSLCertificateSource.certificate)
        }
        let key = try read(files.key, "private key") { try NIOSSLPrivateKey(file: files.key, format: .pem) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = protocols
        if let path = files.clientAuthorities {
            configuration.trustRoots = .certificates(
                try read(path, "certificate of an authority") { try NIOSSLCertificate.fromPEMFile(path) })
            // The client's certificate must be there and be valid; which name it has is for others to judge.
            configuration.certificateVerification = .noHostnameVerification
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw LoadError(
                description: "\(files.certificate) and \(files.key) do not go together: \(error).")
        }
    }

    /// The names in a client's certificate: subject alternative names, then the subject's common name.
    package static func names(of certificate: NIOSSLCertificate) -> [String] {
        guard let bytes = try? certificate.toDERBytes(), let parsed = try? Certificate(derEncoded: bytes) else {
            return []
        }
        var names: [String] = []
        if let alternatives = try? parsed.extensions.subjectAlternativeNames {
            for name in alternatives {
                switch name {
                case .dnsName(let text), .rfc822Name(let text), .uniformResourceIdentifier(let text):
                    names.append(text)
                default: break
                }
            }
        }
        for attribute in parsed.subject.flatMap({ $0 }) where attribute.type == .RDNAttributeType.commonName {
            if let text = String(attribute.value), !names.contains(text) { names.append(text) }
        }
        return names
    }
}
