#!/usr/bin/env bash
# Makes the certificates that the tests of mutual TLS use: an authority, a worker and a frontend of its, and a frontend of
# another authority. The keys guard nothing.
set -euo pipefail
cd "$(dirname "$0")"
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=$1" \
        -keyout "$1.key" -out "$1.pem" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
leaf() { # NAME AUTHORITY EXTENSIONS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 36500 -out "$1.pem" \
        -extfile <(printf '%s\n' "$3" basicConstraints=CA:FALSE)
}
authority authority
authority stranger-authority
leaf worker authority subjectAltName=DNS:localhost,IP:127.0.0.1
leaf frontend authority extendedKeyUsage=clientAuth
leaf stranger stranger-authority extendedKeyUsage=clientAuth
rm -f ./*.csr ./*.srl authority.key stranger-authority.key
