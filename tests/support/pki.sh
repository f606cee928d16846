#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# pki.sh - throw-away certificates for tests and the lab: a CA and hosts, P-256
#
#   pki.sh ca DIR                    DIR/ca.pem, DIR/ca.key
#   pki.sh host DIR NAME [OPTION..]  DIR/NAME.pem, DIR/NAME.key (mode 0600), signed by DIR's CA
#   pki.sh lab DIR NAME..            the CA and one host for each NAME
#
# A host may be client and server and is called by its SAN URI, spiffe://lab/host/NAME.
#   --uri URI      another SAN URI; may be repeated, the first one is the host's name
#   --no-san       no subject alternative name at all
#   --dns NAME     a SAN DNS name instead, no URI
#   --san-der HEX  the extension's bytes, colons between them
#   --expired      was valid until yesterday
#   --not-yet      will be valid from tomorrow on
#   --days N       valid for N days (default 30)
#   --eku LIST     extended key usage (default serverAuth,clientAuth)
#
# Whoever runs real hosts uses a real CA; these keys lie beside their certificates.
set -eu
umask 077

die() {
	echo "pki.sh: $*" >&2
	exit 1
}

new_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$1" 2>/dev/null || die "no key in $1"
}

make_ca() {
	dir=$1
	mkdir -p "$dir"
	new_key "$dir/ca.key"
	cat >"$dir/ca.cnf" <<CNF
[req]
distinguished_name = dn
prompt = no
x509_extensions = ext
[dn]
CN = lab CA $(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
[ext]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
	openssl req -new -x509 -key "$dir/ca.key" -config "$dir/ca.cnf" -days 3650 \
		-out "$dir/ca.pem" || die "no CA in $dir"
	rm -f "$dir/ca.cnf"
	chmod 755 "$dir"
	chmod 644 "$dir/ca.pem"
}

# date as openssl ca wants it
at() {
	date -u -d "$1" +%Y%m%d%H%M%SZ
}

make_host() {
	dir=$1 name=$2
	shift 2
	san='' start='5 minutes ago' end='' days=30 eku=serverAuth,clientAuth plain='' der=''
	while [ $# -gt 0 ]; do
		case $1 in
		--uri) san="$san${san:+,}URI:$2"; shift ;;
		--dns) san="$san${san:+,}DNS:$2"; shift ;;
		--no-san) plain=1 ;;
		--san-der) plain=1 der=$2; shift ;;
		--expired) start='10 days ago' end='1 day ago' ;;
		--not-yet) start='1 day' end='10 days' ;;
		--days) days=$2; shift ;;
		--eku) eku=$2; shift ;;
		*) die "unknown option $1" ;;
		esac
		shift
	done
	[ -r "$dir/ca.key" ] || die "no CA in $dir: run pki.sh ca $dir first"
	[ -n "$plain" ] || san="subjectAltName = ${san:-URI:spiffe://lab/host/$name}"
	[ -z "$der" ] || san="subjectAltName = DER:$der"
	new_key "$dir/$name.key"
	tmp=$(mktemp -d "$dir/new.XXXXXX")
	cat >"$tmp/cnf" <<CNF
[req]
distinguished_name = dn
prompt = no
[dn]
CN = $name
[ca]
default_ca = lab
[lab]
database = $tmp/index.txt
new_certs_dir = $tmp
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
x509_extensions = ext
[any]
commonName = supplied
[ext]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $eku
${san}
CNF
	: >"$tmp/index.txt"
	openssl req -new -key "$dir/$name.key" -config "$tmp/cnf" -out "$tmp/csr" ||
		die "no request for $name"
	if ! openssl ca -batch -notext -config "$tmp/cnf" -cert "$dir/ca.pem" \
		-keyfile "$dir/ca.key" -in "$tmp/csr" -out "$dir/$name.pem" \
		-startdate "$(at "$start")" -enddate "$(at "${end:-$days days}")" \
		>"$tmp/log" 2>&1; then
		cat "$tmp/log" >&2
		die "no certificate for $name; see $tmp"
	fi
	chmod 644 "$dir/$name.pem"
	rm -rf "$tmp"
}

case ${1:-} in
ca)
	[ $# -eq 2 ] || die "usage: pki.sh ca DIR"
	make_ca "$2"
	;;
host)
	[ $# -ge 3 ] || die "usage: pki.sh host DIR NAME [OPTION..]"
	shift
	make_host "$@"
	;;
lab)
	[ $# -ge 3 ] || die "usage: pki.sh lab DIR NAME.."
	make_ca "$2"
	into=$2
	shift 2
	for host; do
		make_host "$into" "$host"
	done
	;;
*)
	die "usage: pki.sh ca|host|lab DIR .."
	;;
esac
