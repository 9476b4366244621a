#ifndef CONGVAN_COPENSSL_SHIM_H
#define CONGVAN_COPENSSL_SHIM_H

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ess.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

// Only what Swift cannot import: function-like macros and constants built from macros.

static inline int congvan_certificates_count(const STACK_OF(X509) *stack) {
  return sk_X509_num(stack); // -1 for NULL
}
static inline X509 *congvan_certificates_at(const STACK_OF(X509) *stack, int index) {
  return sk_X509_value(stack, index);
}
static inline STACK_OF(X509) *congvan_certificates_new(void) { return sk_X509_new_null(); }
// Takes a reference of its own; 1 on success.
static inline int congvan_certificates_add(STACK_OF(X509) *stack, X509 *certificate) {
  return X509_add_cert(stack, certificate, X509_ADD_FLAG_UP_REF);
}
// Frees the stack and its references; NULL is legal.
static inline void congvan_certificates_free(STACK_OF(X509) *stack) {
  sk_X509_pop_free(stack, X509_free);
}

// EXTENDED_KEY_USAGE is a STACK_OF(ASN1_OBJECT).
static inline int congvan_objects_count(const EXTENDED_KEY_USAGE *stack) {
  return sk_ASN1_OBJECT_num(stack);
}
static inline ASN1_OBJECT *congvan_objects_at(const EXTENDED_KEY_USAGE *stack, int index) {
  return sk_ASN1_OBJECT_value(stack, index);
}
static inline void congvan_objects_free(EXTENDED_KEY_USAGE *stack) {
  sk_ASN1_OBJECT_pop_free(stack, ASN1_OBJECT_free);
}

// The parts of a PKCS#12 file: STACK_OF(PKCS7) of STACK_OF(PKCS12_SAFEBAG).
static inline int congvan_safes_count(const STACK_OF(PKCS7) *stack) { return sk_PKCS7_num(stack); }
static inline PKCS7 *congvan_safes_at(const STACK_OF(PKCS7) *stack, int index) {
  return sk_PKCS7_value(stack, index);
}
static inline void congvan_safes_free(STACK_OF(PKCS7) *stack) {
  sk_PKCS7_pop_free(stack, PKCS7_free);
}
static inline int congvan_safe_type(const PKCS7 *safe) { return OBJ_obj2nid(safe->type); }
static inline int congvan_bags_count(const STACK_OF(PKCS12_SAFEBAG) *stack) {
  return sk_PKCS12_SAFEBAG_num(stack);
}
static inline PKCS12_SAFEBAG *congvan_bags_at(const STACK_OF(PKCS12_SAFEBAG) *stack, int index) {
  return sk_PKCS12_SAFEBAG_value(stack, index);
}
static inline void congvan_bags_free(STACK_OF(PKCS12_SAFEBAG) *stack) {
  sk_PKCS12_SAFEBAG_pop_free(stack, PKCS12_SAFEBAG_free);
}

static inline int congvan_lists_count(const STACK_OF(X509_CRL) *stack) {
  return sk_X509_CRL_num(stack);
}
static inline X509_CRL *congvan_lists_at(const STACK_OF(X509_CRL) *stack, int index) {
  return sk_X509_CRL_value(stack, index);
}
static inline void congvan_lists_free(STACK_OF(X509_CRL) *stack) {
  sk_X509_CRL_pop_free(stack, X509_CRL_free);
}

static inline int congvan_signers_count(const STACK_OF(CMS_SignerInfo) *stack) {
  return sk_CMS_SignerInfo_num(stack); // -1 for NULL
}
static inline CMS_SignerInfo *congvan_signers_at(STACK_OF(CMS_SignerInfo) *stack, int index) {
  return sk_CMS_SignerInfo_value(stack, index);
}

static inline long congvan_bio_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }
static inline int congvan_bio_set_digest(BIO *bio, const EVP_MD *digest) {
  return (int)BIO_set_md(bio, digest);
}

static inline int congvan_error_library(unsigned long code) { return ERR_GET_LIB(code); }
static inline int congvan_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

// RFC 2253, but with UTF-8 left readable instead of escaped byte by byte.
static inline unsigned long congvan_name_flags(void) {
  return XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
}

#endif
