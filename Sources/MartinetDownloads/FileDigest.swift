import Crypto
import FoundationEssentials
import MartinetModelFormats

/// SHA-256 of files.
enum FileDigest {
    /// The digest of a file in lower-case hexadecimal digits.
    static func sha256(of path: String) throws(DownloadError) -> String {
        let file: MappedFile
        do {
            file = try MappedFile(path: path)
        } catch {
            throw DownloadError(.storage, error.description)
        }
        var hash = SHA256()
        var offset = 0
        // In pieces, so that no more of a large file than needed is held in memory at once.
        while offset < file.count {
            let end = min(offset + 4 << 20, file.count)
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: file.bytes[offset..<end]))
            offset = end
        }
        return hexadecimal(hash.finalize())
    }

    /// The first digits of the digest of a text, for file names.
    static func short(_ text: String) -> String {
        String(hexadecimal(SHA256.hash(data: Array(text.utf8))).prefix(16))
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        digest.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Whether a text is a SHA-256 in hexadecimal digits.
    static func isValid(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
    }
}
