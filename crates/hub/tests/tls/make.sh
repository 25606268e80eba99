#!/bin/sh
# Certificates for the tests of TLS: an authority as a company has one, and a server that it signed.
# They are good from 2020 to 2120. Run in this folder; needs openssl.
set -eu
here=$(pwd)
work=$(mktemp -d)
cd "$work"
cat > ca.cnf <<'END'
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
default_startdate = 20200101000000Z
default_enddate = 21200101000000Z
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
END
touch index.txt
echo 01 > serial
for name in authority server; do
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key \
    -out $name.csr -subj "/CN=$name of the tests"
done
openssl ca -batch -notext -config ca.cnf -selfsign -keyfile authority.key -in authority.csr \
  -out authority.pem -extensions authority
openssl ca -batch -notext -config ca.cnf -keyfile authority.key -cert authority.pem \
  -in server.csr -out server.pem -extensions server
cp authority.pem server.pem server.key "$here"
rm -r "$work"
