/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "tls/bio.h"
#include "tls/cert.h"
#include "tls/conn.h"
#include "tls/ctx_priv.h"

#define KEY_FILE_MAX (64u * 1024)

int exp_tls_openssl_error(struct exp_error *err, enum exp_code code, int errnum, const char *fmt,
			  ...)
{
	unsigned long e = ERR_peek_error();
	const char *reason = ERR_reason_error_string(e);
	char what[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return exp_error_set(err, code, errnum, "%s: %s", what,
			     reason ? reason : "no reason given");
}

/* --- the key file --- */

static int check_key_fd(int fd, const char *path, struct exp_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return exp_error_set(err, EXP_CODE_CONFIG, errno, "key file %s: %s", path,
				     strerror(errno));
	if (!S_ISREG(st.st_mode))
		return exp_error_set(err, EXP_CODE_CONFIG, EACCES, "key file %s is no regular file",
				     path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return exp_error_set(err, EXP_CODE_CONFIG, EACCES,
				     "key file %s belongs to user %u, must be this process's %u or "
				     "root: chown it",
				     path, (unsigned int)st.st_uid, (unsigned int)geteuid());
	if (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO))
		return exp_error_set(err, EXP_CODE_CONFIG, EACCES,
				     "key file %s has mode %04o, at most 0640 is safe: chmod it",
				     path, (unsigned int)(st.st_mode & 07777));
	return 0;
}

static int open_key(const char *path, int *ret, struct exp_error *err)
{
	/* not to wait for a writer if somebody put a FIFO there */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	if (fd < 0)
		return exp_error_set(err, EXP_CODE_CONFIG, errno, "key file %s: %s", path,
				     strerror(errno));
	r = check_key_fd(fd, path, err);
	if (r < 0)
		close(fd);
	else
		*ret = fd;
	return r;
}

int exp_tls_check_key_file(const char *path, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;

	return open_key(path, &fd, err);
}

static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	*(bool *)arg = true; /* nobody is there to ask */
	return -1;
}

static int parse_key(const char *path, const void *mem, int len, EVP_PKEY **ret,
		     struct exp_error *err)
{
	bool encrypted = false;
	BIO *bio = BIO_new_mem_buf(mem, len);

	if (!bio)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	*ret = PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted);
	BIO_free(bio);
	if (*ret)
		return 0;
	if (encrypted) {
		ERR_clear_error();
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
				     "key file %s is encrypted: a daemon has nobody to ask", path);
	}
	return exp_tls_openssl_error(err, EXP_CODE_CONFIG, EINVAL, "key file %s is no PEM key",
				     path);
}

static int load_key(SSL_CTX *ssl, const char *path, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	EVP_PKEY *key = NULL;
	size_t len = 0;
	ssize_t n = 0;
	char *mem;
	int r;

	r = open_key(path, &fd, err);
	if (r < 0)
		return r;
	mem = OPENSSL_malloc(KEY_FILE_MAX + 1);
	if (!mem)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	while (len <= KEY_FILE_MAX && (n = read(fd, mem + len, KEY_FILE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		r = exp_error_set(err, EXP_CODE_CONFIG, errno, "key file %s: %s", path,
				  strerror(errno));
	else if (len > KEY_FILE_MAX)
		r = exp_error_set(err, EXP_CODE_CONFIG, EFBIG,
				  "key file %s is larger than %u bytes", path, KEY_FILE_MAX);
	else
		r = parse_key(path, mem, (int)len, &key, err);
	OPENSSL_clear_free(mem, KEY_FILE_MAX + 1);
	if (!r && SSL_CTX_use_PrivateKey(ssl, key) != 1)
		r = exp_tls_openssl_error(err, EXP_CODE_CONFIG, EINVAL,
					  "key file %s does not belong to the certificate", path);
	EVP_PKEY_free(key); /* wipes when it was the last reference */
	return r;
}

/* --- the rest --- */

static int check_readable(const char *what, const char *path, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return exp_error_set(err, EXP_CODE_CONFIG, errno, "%s %s: %s", what, path,
				     strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > EXP_TLS_FILE_MAX)
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL,
				     "%s %s is no regular file of at most %u bytes", what, path,
				     EXP_TLS_FILE_MAX);
	return 0;
}

/* Where AES has no instructions of its own, ChaCha20 is several times faster. */
static bool have_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & (1 << 3); /* HWCAP_AES */
#else
	return false;
#endif
}

static int set_policy(SSL_CTX *ssl, struct exp_error *err)
{
	const char *suites = have_aes() ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
					: "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

	SSL_CTX_set_security_level(ssl, 2);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ssl, SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify_depth(ssl, EXP_TLS_CHAIN_MAX);
	exp_tls_conn_policy(ssl);
	if (!SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ssl, suites) || !SSL_CTX_set_num_tickets(ssl, 0) ||
	    !SSL_CTX_set_max_early_data(ssl, 0))
		return exp_tls_openssl_error(err, EXP_CODE_TLS, EINVAL, "TLS 1.3 settings");
	return 0;
}

static int load_files(struct exp_tls_ctx *c, const struct exp_tls_files *files,
		      struct exp_error *err)
{
	char why[160];
	int r;

	r = check_readable("CA file", files->ca_file, err);
	if (!r)
		r = check_readable("certificate file", files->cert_file, err);
	if (r < 0)
		return r;
	if (SSL_CTX_load_verify_file(c->ssl, files->ca_file) != 1)
		return exp_tls_openssl_error(err, EXP_CODE_CONFIG, EINVAL,
					     "CA file %s has no PEM certificate", files->ca_file);
	if (SSL_CTX_use_certificate_chain_file(c->ssl, files->cert_file) != 1)
		return exp_tls_openssl_error(err, EXP_CODE_CONFIG, EINVAL,
					     "certificate file %s has no usable PEM certificate",
					     files->cert_file);
	r = load_key(c->ssl, files->key_file, err);
	if (r < 0)
		return r;
	if (SSL_CTX_check_private_key(c->ssl) != 1)
		return exp_tls_openssl_error(err, EXP_CODE_CONFIG, EINVAL,
					     "key file %s does not belong to certificate file %s",
					     files->key_file, files->cert_file);
	if (exp_tls_cert_identity(SSL_CTX_get0_certificate(c->ssl), &c->self, why, sizeof(why)) < 0)
		return exp_error_set(err, EXP_CODE_CONFIG, EINVAL, "certificate file %s %s",
				     files->cert_file, why);
	return 0;
}

int exp_tls_ctx_new(const struct exp_tls_files *files, struct exp_tls_ctx **ret,
		    struct exp_error *err)
{
	EXP_CLEANUP(exp_tls_ctx_freep) struct exp_tls_ctx *c = calloc(1, sizeof(*c));
	STACK_OF(X509) *chain = NULL;
	int r;

	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	atomic_init(&c->refs, 1);
	ERR_clear_error();
	c->ssl = SSL_CTX_new(TLS_method());
	c->bio = exp_tls_bio_method();
	if (!c->ssl || !c->bio)
		return exp_tls_openssl_error(err, EXP_CODE_NO_MEMORY, ENOMEM, "TLS context");
	r = set_policy(c->ssl, err);
	if (!r)
		r = load_files(c, files, err);
	if (r < 0)
		return r;
	SSL_CTX_get0_chain_certs(c->ssl, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++)
		c->self.not_after_s = EXP_MIN(c->self.not_after_s,
					      exp_tls_cert_not_after(sk_X509_value(chain, i)));
	*ret = EXP_TAKE(c);
	return 0;
}

struct exp_tls_ctx *exp_tls_ctx_ref(struct exp_tls_ctx *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void exp_tls_ctx_free(struct exp_tls_ctx *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	free(c);
}

const struct exp_tls_identity *exp_tls_ctx_self(const struct exp_tls_ctx *c)
{
	return &c->self;
}

/* --- checks --- */

static int check_as(const struct exp_tls_ctx *c, const char *side, int64_t wall_s,
		    struct exp_error *err)
{
	X509_STORE_CTX *v = X509_STORE_CTX_new();
	STACK_OF(X509) *chain = NULL;
	int r = 0;

	SSL_CTX_get0_chain_certs(c->ssl, &chain);
	if (!v ||
	    !X509_STORE_CTX_init(v, SSL_CTX_get_cert_store(c->ssl),
				 SSL_CTX_get0_certificate(c->ssl), chain) ||
	    !X509_STORE_CTX_set_default(v, side)) {
		X509_STORE_CTX_free(v);
		return exp_tls_openssl_error(err, EXP_CODE_NO_MEMORY, ENOMEM, "own certificate");
	}
	X509_STORE_CTX_set_time(v, 0, (time_t)wall_s);
	X509_VERIFY_PARAM_set_depth(X509_STORE_CTX_get0_param(v), EXP_TLS_CHAIN_MAX);
	if (X509_verify_cert(v) != 1) {
		exp_tls_cert_problem(X509_STORE_CTX_get_error(v),
				     X509_STORE_CTX_get_current_cert(v),
				     X509_STORE_CTX_get_error_depth(v), "own", err);
		if (err && err->code == EXP_CODE_PEER_UNKNOWN)
			err->code = EXP_CODE_TLS; /* it is us */
		r = -EINVAL;
	}
	X509_STORE_CTX_free(v);
	ERR_clear_error();
	return r;
}

int exp_tls_ctx_check(const struct exp_tls_ctx *c, int64_t wall_s, struct exp_error *err)
{
	int r = check_as(c, "ssl_server", wall_s, err);

	return r < 0 ? r : check_as(c, "ssl_client", wall_s, err);
}

bool exp_tls_identity_has(const struct exp_tls_identity *id, const char *uri)
{
	for (uint32_t i = 0; i < id->n_uris; i++)
		if (!strcmp(id->uri[i], uri))
			return true;
	return false;
}

int exp_tls_identity_expect(const struct exp_tls_identity *id, const char *uri,
			    struct exp_error *err)
{
	if (exp_tls_identity_has(id, uri))
		return 0;
	return exp_error_set(err, EXP_CODE_PEER_UNKNOWN, EACCES,
			     "the peer's certificate is for \"%s\", expected \"%s\"",
			     id->n_uris ? id->uri[0] : "", uri);
}
