internal import GRPCNIOTransportHTTP2Posix

/// How a worker proves who it is, and who may connect. All files are PEM.
package struct WorkerServerTLS: Sendable, Hashable {
    /// The worker's certificate and those between it and its authority.
    package var certificatePath: String
    /// The certificate's key.
    package var keyPath: String
    /// The authorities of frontends: only those may connect that show a certificate of theirs. `nil` asks for none.
    package var clientAuthoritiesPath: String?

    /// Describes a worker's certificates.
    package init(certificatePath: String, keyPath: String, clientAuthoritiesPath: String? = nil) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.clientAuthoritiesPath = clientAuthoritiesPath
    }
}

/// How a frontend checks a worker, and proves who it is. All files are PEM.
package struct WorkerClientTLS: Sendable, Hashable {
    /// A frontend's own certificate.
    package struct Identity: Sendable, Hashable {
        /// The certificate and those between it and its authority.
        package var certificatePath: String
        /// The certificate's key.
        package var keyPath: String

        /// Describes a certificate.
        package init(certificatePath: String, keyPath: String) {
            self.certificatePath = certificatePath
            self.keyPath = keyPath
        }
    }

    /// The authorities that the worker's certificate must come from; `nil` takes the system's.
    package var authoritiesPath: String?
    /// What the frontend shows, where it shows anything.
    package var identity: Identity?
    /// The name that the worker's certificate must have; `nil` takes the host's.
    package var serverName: String?

    /// Describes a frontend's certificates.
    package init(authoritiesPath: String? = nil, identity: Identity? = nil, serverName: String? = nil) {
        self.authoritiesPath = authoritiesPath
        self.identity = identity
        self.serverName = serverName
    }
}

extension HTTP2ServerTransport.Posix.TransportSecurity {
    init(_ tls: WorkerServerTLS?) {
        guard let tls else {
            self = .plaintext
            return
        }
        self = .tls(
            certificateChain: [.file(path: tls.certificatePath, format: .pem)],
            privateKey: .file(path: tls.keyPath, format: .pem)
        ) { config in
            config.requireALPN = true
            if let path = tls.clientAuthoritiesPath {
                config.clientCertificateVerification = .noHostnameVerification
                config.trustRoots = .certificates([.file(path: path, format: .pem)])
            }
        }
    }
}

extension HTTP2ClientTransport.Posix.TransportSecurity {
    init(_ tls: WorkerClientTLS?) {
        guard let tls else {
            self = .plaintext
            return
        }
        self = .tls { config in
            config.serverCertificateVerification = .fullVerification
            if let path = tls.authoritiesPath {
                config.trustRoots = .certificates([.file(path: path, format: .pem)])
            }
            if let identity = tls.identity {
                config.certificateChain = [.file(path: identity.certificatePath, format: .pem)]
                config.privateKey = .file(path: identity.keyPath, format: .pem)
            }
        }
    }
}
